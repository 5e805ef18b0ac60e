"""What a synchronous standby is worth: two real servers, of which one dies and the other takes over."""

import asyncio
import itertools
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import asyncpg
import pytest

from gateway.errors import InboxUnavailable
from gateway.history import Query
from gateway.inbox.postgres import PostgresInbox
from tests.inbox.engines import DAY
from tests.inbox.eventually import eventually
from tests.inbox.samples import NOW, delivery
from tests.postgres_server import PostgresServer


class Pair:
    """A primary that answers a COMMIT once its standby has it."""

    def __init__(self) -> None:
        self.primary = PostgresServer(synchronous_standby_names="ANY 1 (standby)")
        self.standby = PostgresServer()

    @property
    def url(self) -> str:
        """The URL of whichever of the two takes writes."""
        hosts = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        return f"postgresql://postgres@{hosts}/postgres?target_session_attrs=read-write"

    def start(self) -> None:
        """Make and start both."""
        self.primary.create()
        self.primary.start()
        self.standby.copy(self.primary)
        self.standby.start()

    def remove(self) -> None:
        """End both and remove what they wrote."""
        self.standby.remove()
        self.primary.remove()


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Give a primary with a synchronous standby."""
    made = Pair()
    try:
        made.start()
        yield made
    finally:
        made.remove()


@pytest.fixture
async def inbox(pair: Pair) -> AsyncIterator[PostgresInbox]:
    """Open an inbox on the pair."""
    opened = await PostgresInbox.open(pair.url, dedupe_window_ms=7 * DAY)
    yield opened
    await opened.close()


async def test_a_failover_loses_nothing(pair: Pair, inbox: PostgresInbox) -> None:
    """Everything that was acknowledged before, during and after a failover is in the server that took over."""
    assert inbox.notes == ()
    acknowledged: set[str] = set()
    numbers = itertools.count()
    after = asyncio.Event()

    async def send() -> None:
        while not after.is_set():
            name = f"evt_{next(numbers)}"
            with suppress(InboxUnavailable):
                await inbox.put([delivery(name)], NOW)
                acknowledged.add(name)
            await asyncio.sleep(0.001)

    senders = [asyncio.create_task(send()) for _ in range(10)]
    await asyncio.sleep(0.5)
    await asyncio.to_thread(pair.primary.kill, signal.SIGKILL)
    before = len(acknowledged)
    await asyncio.to_thread(pair.standby.promote)
    await eventually(lambda: len(acknowledged) >= before + 50)
    after.set()
    await asyncio.gather(*senders)
    kept = {history.entry.delivery.id for history in await inbox.search(Query(limit=1_000_000))}
    assert before > 50
    assert acknowledged <= kept


async def test_a_commit_that_did_not_wait_is_not_acknowledged(pair: Pair, inbox: PostgresInbox) -> None:
    """Where an operator cuts the wait for the standby short, the COMMIT succeeds, and the provider is refused."""
    await inbox.put([delivery("evt_1")], NOW)
    pair.standby.kill()
    put = asyncio.create_task(inbox.put([delivery("evt_2")], NOW))
    waiting = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    operator = await asyncpg.connect(pair.primary.dsn)
    for _ in range(1_000):
        if await operator.fetchval(waiting):
            break
        await asyncio.sleep(0.01)
    with pytest.raises(InboxUnavailable, match="committed with a warning"):
        await put
    await operator.close()
