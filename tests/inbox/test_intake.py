"""When a put is refused at once: tables of the decisions, and a disk that is slow, busy or nearly full."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import InboxUnavailable
from gateway.inbox import sqlite_writer
from gateway.inbox.disk_space import GIB, MIB, Space, SpaceLevel, measure
from gateway.inbox.intake import Bounds
from gateway.inbox.pace import Pace
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import State
from gateway.torture.disk import remembered
from tests.inbox.eventually import eventually
from tests.inbox.hold import Hold
from tests.inbox.monotonic import Monotonic
from tests.inbox.samples import LEASE, NOW, delivery, keep, settle_all

ROOMY = Space(50 * GIB, 100 * GIB)
FULL = Space(1 * MIB, 100 * MIB)


class Disk:
    """The space that an inbox under test finds."""

    def __init__(self) -> None:
        self.space = ROOMY
        self.answers = True

    def measured(self, _path: Path) -> Space:
        """Answer as the kernel does."""
        if not self.answers:
            raise OSError(5, "Input/output error")
        return self.space


@pytest.fixture
def clock() -> Monotonic:
    """Start a clock that stands still."""
    return Monotonic()


@pytest.fixture
def disk() -> Disk:
    """Start with a roomy disk."""
    return Disk()


@pytest.fixture
async def inbox(tmp_path: Path, clock: Monotonic, disk: Disk) -> AsyncIterator[SqliteInbox]:
    """Open an inbox in which ten operations and a thousand bytes may wait."""
    inbox = SqliteInbox.open(
        tmp_path / "inbox.db",
        dedupe_window_ms=1_000_000,
        bounds=Bounds(waiting=10, waiting_bytes=1_000),
        measured=disk.measured,
        clock=clock,
    )
    yield inbox
    await inbox.close()


async def begun(inbox: SqliteInbox, name: str, size: int = 2) -> asyncio.Task[object]:
    """Start a put and let it be refused or get into the queue."""
    task = asyncio.create_task(inbox.put([delivery(name, body=bytes(size))], NOW))
    await asyncio.sleep(0)
    return task


async def remeasured(inbox: SqliteInbox, clock: Monotonic) -> None:
    """Let a second pass and the writer thread notice; it does so after a group, hence before the next one."""
    clock.advance(1)
    for _ in range(2):
        await inbox.lease(1, LEASE, 0)


@pytest.mark.parametrize(
    ("free", "total", "level"),
    [
        (50 * GIB, 100 * GIB, SpaceLevel.OK),
        (10 * GIB, 100 * GIB, SpaceLevel.OK),
        (10 * GIB - 1, 100 * GIB, SpaceLevel.LOW),
        (GIB - 1, 2 * GIB, SpaceLevel.LOW),
        (5 * GIB // 2, 50 * GIB, SpaceLevel.LOW),
        (5 * GIB // 2 - 1, 50 * GIB, SpaceLevel.SCARCE),
        (4 * GIB, 1_000 * GIB, SpaceLevel.LOW),
        (4 * GIB - 1, 1_000 * GIB, SpaceLevel.SCARCE),
        (GIB, 1_000 * GIB, SpaceLevel.SCARCE),
        (GIB - 1, 1_000 * GIB, SpaceLevel.FULL),
        (2 * MIB, 100 * MIB, SpaceLevel.SCARCE),
        (2 * MIB - 1, 100 * MIB, SpaceLevel.FULL),
        (0, 100 * MIB, SpaceLevel.FULL),
        (GIB, 0, SpaceLevel.OK),
    ],
)
def test_levels_of_space(free: int, total: int, level: SpaceLevel) -> None:
    """Little space is told in three levels, the lower two by share and in bytes."""
    assert Space(free, total).level is level


def test_the_kernel_tells_the_space(tmp_path: Path) -> None:
    """What is measured is a real disk: it has a size, and no more free than that."""
    space = measure(tmp_path)
    assert 0 < space.free <= space.total


async def test_a_nearly_full_disk_refuses_until_there_is_space(
    inbox: SqliteInbox, disk: Disk, clock: Monotonic
) -> None:
    """At the last level puts are refused with the space that is left, forwarding goes on, and more space ends it."""
    await keep(inbox, "a")
    disk.space = FULL
    await keep(inbox, "b")
    await remeasured(inbox, clock)
    assert inbox.space == FULL
    with pytest.raises(InboxUnavailable, match=r"only 1 MiB \(1\.0 %\) left"):
        await keep(inbox, "c")
    await settle_all(inbox, State.FORWARDED)
    disk.space = ROOMY
    await remeasured(inbox, clock)
    await keep(inbox, "c")


async def test_a_disk_that_gives_no_answer_keeps_its_last(inbox: SqliteInbox, disk: Disk, clock: Monotonic) -> None:
    """When the space cannot be measured the last measurement stands and the inbox serves on."""
    disk.answers = False
    await remeasured(inbox, clock)
    assert inbox.space == ROOMY
    await keep(inbox, "a")


async def test_space_is_measured_when_nothing_happens(
    tmp_path: Path, disk: Disk, clock: Monotonic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An inbox that refuses everything still notices that there is space again."""
    monkeypatch.setattr(sqlite_writer, "IDLE_SECONDS", 0.01)
    disk.space = FULL
    inbox = SqliteInbox.open(tmp_path / "idle.db", dedupe_window_ms=1_000_000, measured=disk.measured, clock=clock)
    with pytest.raises(InboxUnavailable, match="free some space"):
        await keep(inbox, "a")
    disk.space = ROOMY
    clock.advance(1)
    await eventually(lambda: inbox.space is ROOMY)
    await keep(inbox, "a")
    await inbox.close()


async def test_a_group_that_hangs_refuses_those_behind_it(inbox: SqliteInbox, clock: Monotonic) -> None:
    """While a commit takes longer than a second puts are refused at once; those before are kept, and those after it."""
    hold = Hold(inbox)
    await hold.taken()
    clock.advance(0.9)
    early = await begun(inbox, "early")
    clock.advance(0.2)
    with pytest.raises(InboxUnavailable, match=r"a commit would take about 1\.1 s"):
        await keep(inbox, "late")
    lease = asyncio.create_task(inbox.lease(9, LEASE, NOW))
    await asyncio.sleep(0)
    await hold.release()
    await early
    assert len(await lease) == 1
    await keep(inbox, "late")


async def test_a_slow_disk_refuses_what_would_wait_too_long(tmp_path: Path, clock: Monotonic) -> None:
    """Where an fsync takes 0.6 s, a put that waits for two of them is refused; one that waits for its own is not."""
    with remembered() as slow:
        inbox = SqliteInbox.open(tmp_path / "slow.db", dedupe_window_ms=1_000_000, clock=clock)
        slow.on_sync = lambda: clock.advance(0.6)
        await keep(inbox, "a")
        hold = Hold(inbox)
        await hold.taken()
        with pytest.raises(InboxUnavailable, match=r"about 1\.2 s"):
            await keep(inbox, "b")
        slow.on_sync = bool
        await hold.release()
        for n in range(9):
            await keep(inbox, f"c{n}")
        hold = Hold(inbox)
        await hold.taken()
        waiting = await begun(inbox, "b")
        await hold.release()
        await waiting
        await inbox.close()


def test_the_wait_grows_with_what_waits(clock: Monotonic) -> None:
    """The estimate counts the groups that come before, and the rest of the one under way."""
    pace = Pace(clock, group_limit=10)
    assert pace.wait(500) == 0
    pace.begin()
    clock.advance(0.25)
    pace.end()
    assert [pace.wait(waiting) for waiting in (0, 1, 9, 10, 30)] == [0, 0.25, 0.25, 0.5, 1.0]
    pace.begin()
    assert (pace.wait(0), pace.wait(10)) == (0.5, 0.75)
    clock.advance(0.125)
    assert (pace.wait(0), pace.wait(10)) == (0.375, 0.625)
    clock.advance(0.875)
    assert pace.wait(0) == 1.0


async def test_the_bytes_that_wait_are_bounded(inbox: SqliteInbox) -> None:
    """Beyond the bound on bytes a put is refused, until those before it are committed; a large one alone passes."""
    await (await begun(inbox, "large", 5_000))
    hold = Hold(inbox)
    await hold.taken()
    first = await begun(inbox, "first", 800)
    with pytest.raises(InboxUnavailable, match="MiB wait for the inbox already"):
        await (await begun(inbox, "second", 300))
    third = await begun(inbox, "third", 100)
    third.cancel()
    await hold.release()
    await first
    await asyncio.gather(third, return_exceptions=True)
    await (await begun(inbox, "second", 999))
