"""Every engine behind one fixture, at a time that the test tells."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from gateway.inbox.contract import Inbox
from tests.inbox.engines import DAY, ENGINES
from tests.inbox.mover import Mover
from tests.inbox.tables import Tables

Open = Callable[[], Awaitable[Inbox]]


@pytest.fixture(params=sorted(ENGINES))
async def open_inbox(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    """Open the inbox of this test, again after a close, with a dedupe window of seven days."""
    opened: list[Inbox] = []

    async def open_one() -> Inbox:
        opened.append(await ENGINES[request.param](tmp_path, 7 * DAY))
        return opened[-1]

    yield open_one
    for inbox in opened:
        await inbox.close()


@pytest.fixture
async def inbox(open_inbox: Open) -> Inbox:
    """Open an empty inbox with a dedupe window of seven days."""
    return await open_inbox()


@pytest.fixture
async def mover(tmp_path: Path) -> AsyncIterator[Mover]:
    """Give a file that is not there yet, and an empty schema."""
    made = Mover(tmp_path)
    made.connection = await asyncpg.connect(made.url)
    yield made
    await made.close()


@pytest.fixture
async def tables(tmp_path: Path) -> AsyncIterator[Tables]:
    """Give a schema that nobody has made yet."""
    made = Tables(tmp_path)
    made.connection = await asyncpg.connect(made.url, server_settings={"search_path": made.schema})
    yield made
    await made.close()
