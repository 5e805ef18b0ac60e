"""What the tests of the fault matrix stand on."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.bench import Bench, running_bench
from tests.world import World, running_world


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
