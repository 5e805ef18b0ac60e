"""When a commit waits a moment for others to share it, and when it does not."""

import asyncio
from pathlib import Path

import pytest

from gateway.inbox import gathering
from gateway.inbox.gathering import ENOUGH, SECONDS, Gathering
from gateway.inbox.sqlite import SqliteInbox
from tests.inbox.hold import Hold
from tests.inbox.samples import keep
from tests.inbox.watch import watch


class Timer:
    """A monotonic clock that the test moves."""

    seconds = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds


def measured(per_second: float, timer: Timer) -> Gathering:
    """Return what was measured in a tenth of a second at this rate, in groups of one."""
    made = Gathering(timer)
    for _ in range(round(per_second / 10)):
        timer.seconds += 1 / per_second
        made.gone(1)
    return made


@pytest.mark.parametrize(("per_second", "waits"), [(20, False), (2_000, False), (4_000, True), (10_000, True)])
def test_only_where_several_come_meanwhile(per_second: float, waits: bool) -> None:  # noqa: FBT001
    """At a low rate nobody waits; where three more are to be expected within the wait, one commit holds them."""
    assert measured(per_second, Timer()).is_worth_it(1) is waits


def test_a_large_group_goes_at_once() -> None:
    """What is large enough has nothing to gain."""
    made = measured(10_000, Timer())
    assert made.is_worth_it(ENOUGH - 1)
    assert not made.is_worth_it(ENOUGH)


def test_a_rate_is_forgotten() -> None:
    """The first group after a lull is small, and after it nobody waits."""
    timer = Timer()
    made = measured(10_000, timer)
    timer.seconds += 1
    made.gone(1)
    assert not made.is_worth_it(1)


def test_waits_in_vain_end() -> None:
    """Where those who send all wait for the commit, hardly any of the groups does; one wait that pays starts anew."""
    made = measured(10_000, Timer())
    waits = []
    for _ in range(1_000):
        waits.append(made.is_worth_it(4))
        if waits[-1]:
            made.waited(4, 4)
    assert sum(waits) < 130
    made = measured(10_000, Timer())
    for n in range(100):
        assert made.is_worth_it(4)
        made.waited(4, 5 if n % 4 == 3 else 4)


async def test_a_commit_is_shared_by_those_who_come_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While many come the thread waits a moment for others, who share the commit."""
    timer = Timer()
    inbox = SqliteInbox.open(tmp_path / "inbox.db", dedupe_window_ms=1_000_000, clock=timer)
    hold = Hold(inbox)
    await hold.taken()
    several = [asyncio.create_task(keep(inbox, f"before {n}")) for n in range(200)]
    await asyncio.sleep(0)
    timer.seconds += 200 * SECONDS / gathering.SEVERAL
    await hold.release()
    await asyncio.gather(*several)
    monkeypatch.setattr(gathering, "SECONDS", 0.5)
    commits = watch(inbox, "COMMIT")
    first = asyncio.create_task(keep(inbox, "first"))
    await asyncio.sleep(0.05)
    await asyncio.gather(first, keep(inbox, "second"))
    assert len(commits) == 1
    await inbox.close()
