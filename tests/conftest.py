"""What tests of the whole gateway, or of all but its edge, stand on."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.dev.event_api import LocalEventApi
from tests import process
from tests.bench import Bench, running_bench
from tests.world import EVENT_KEY, World, running_world


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Give a bench that forwards."""
    async with running_bench(tmp_path) as made:
        yield made


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Give a world with a gateway that runs."""
    async with running_world(tmp_path) as made:
        await made.start()
        yield made


@pytest.fixture
async def idle_world(tmp_path: Path) -> AsyncIterator[World]:
    """Give a world whose gateway the test starts itself."""
    async with running_world(tmp_path) as made:
        yield made


@pytest.fixture
async def event_api() -> AsyncIterator[LocalEventApi]:
    """Give an event API that runs."""
    made = LocalEventApi(keys={EVENT_KEY})
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    """End the gateways of a test that failed."""
    yield
    process.kill_all()
