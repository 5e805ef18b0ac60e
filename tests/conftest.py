"""What tests of the whole gateway, or of all but its edge, stand on."""

from collections.abc import AsyncIterator, Generator, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import LogCapture

from gateway.dev.event_api import LocalEventApi
from tests import canaries, process
from tests.bench import Bench, running_bench
from tests.world import EVENT_KEY, World, running_world

_WRITTEN = pytest.StashKey[list[str]]()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Give a bench that forwards."""
    async with running_bench(tmp_path) as made:
        yield made


@pytest.fixture
async def world(idle_world: World) -> World:
    """Give a world with a gateway that runs."""
    await idle_world.start()
    return idle_world


@pytest.fixture
async def idle_world(tmp_path: Path, written: list[str]) -> AsyncIterator[World]:
    """Give a world whose gateway the test starts itself."""
    async with running_world(tmp_path) as made:
        yield made
        written.append(made.told())


@pytest.fixture
async def event_api() -> AsyncIterator[LocalEventApi]:
    """Give an event API that runs."""
    made = LocalEventApi(keys={EVENT_KEY})
    await made.start()
    yield made
    await made.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test in which a secret of the tests came out: in a line, an answer, a metric, or on standard output."""
    report = yield
    texts = [*(text for _, text in report.sections), *item.stash.setdefault(_WRITTEN, [])]
    if report.passed and (leaked := [value for text in texts for value in canaries.SECRETS.found(text)]):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: came out in the {call.when} of this test: {sorted(set(leaked))}"
    if call.when == "teardown":
        del item.stash[_WRITTEN]
    return report


@pytest.fixture(autouse=True)
def written(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Give the texts in which no secret may be, and keep the log lines there that a test captures."""
    kept: list[str] = request.node.stash.setdefault(_WRITTEN, [])
    take = LogCapture.__call__

    def take_and_keep(self: LogCapture, logger: Any, method: str, fields: MutableMapping[str, Any]) -> Any:
        kept.append(str(fields))
        return take(self, logger, method, fields)

    monkeypatch.setattr(LogCapture, "__call__", take_and_keep)
    return kept


@pytest.fixture(autouse=True)
def _no_process_is_left() -> Iterator[None]:
    """End the gateways of a test that failed."""
    yield
    process.kill_all()
