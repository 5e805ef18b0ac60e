"""Walking over many entries: at a rate, each once, to be stopped and gone on with."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.history import Query, Replayed
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import ReplayMode, State
from gateway.replay import MOST_PER_STEP, count_by_source, walk
from tests.inbox.samples import NOW, delivery, keep, settle_all
from tests.manual_clock import ManualClock

DEAD = Query(state=State.DEAD, limit=10_000)
MANY = [f"evt_{n}" for n in range(40)]


class Walking:
    """An inbox with dead letters and a clock; `steps` tells when each step began and how many it took."""

    def __init__(self, folder: Path) -> None:
        self.inbox = SqliteInbox.open(folder / "inbox.db", dedupe_window_ms=1_000)
        self.clock = ManualClock(NOW)
        self.stop = asyncio.Event()
        self.steps: list[tuple[int, Replayed]] = []
        self.dies_again = False
        self.stop_after = 0

    async def step(self, query: Query) -> Replayed:
        """Take one step, and where `dies_again` let its entries be settled before the next."""
        begun = self.clock.now()
        taken = await self.inbox.replay(query, ReplayMode.RERUN, begun)
        self.steps.append((begun, taken))
        if self.dies_again:
            await settle_all(self.inbox, State.DEAD, self.clock.now())
        if len(self.steps) == self.stop_after:
            self.stop.set()
        return taken

    async def go(self, *queries: Query, rate: int = 50) -> Replayed:
        """Walk to the end, with the clock moved by 10 ms whenever nothing else happens; return the sum."""
        task = asyncio.create_task(self._walk(queries, rate))
        while not task.done():
            self.clock.advance(10)
            await asyncio.wait([task], timeout=0.0005)
        return task.result()

    async def _walk(self, queries: tuple[Query, ...], rate: int) -> Replayed:
        count, last_key = 0, 0
        async for taken in walk(queries, self.step, rate=rate, clock=self.clock, stop=self.stop):
            count, last_key = count + taken.count, taken.last_key
        return Replayed(count, last_key)

    async def reruns(self) -> dict[str, int]:
        """Return how often each delivery was run again."""
        found = await self.inbox.search(Query(limit=1_000))
        return {history.entry.delivery.id: history.entry.generation for history in found}


@pytest.fixture
async def walking(tmp_path: Path) -> AsyncIterator[Walking]:
    """Give an inbox with 40 dead letters."""
    made = Walking(tmp_path)
    await keep(made.inbox, *MANY)
    await settle_all(made.inbox, State.DEAD)
    yield made
    await made.inbox.close()


@pytest.mark.parametrize("rate", [7, 20, 100])
async def test_the_rate_is_never_exceeded(walking: Walking, rate: int) -> None:
    """At any moment no more was taken than the rate allows since the start, and one small step."""
    assert (await walking.go(DEAD, rate=rate)).count == len(MANY)
    begun, taken = walking.steps[0][0], 0
    for at, step in walking.steps:
        assert taken <= rate * (at - begun) / 1000
        assert step.count <= max(1, rate // 5)
        taken += step.count


async def test_a_step_is_small_at_any_rate(walking: Walking) -> None:
    """No step asks for more entries than the admin listener takes at a time."""
    asked: list[int] = []

    async def step(query: Query) -> Replayed:
        asked.append(query.limit)
        return await walking.step(query)

    async for _ in walk([DEAD], step, rate=10_000, clock=walking.clock, stop=walking.stop):
        break
    assert asked == [MOST_PER_STEP]


async def test_what_dies_again_meanwhile_is_taken_once(walking: Walking) -> None:
    """Entries that match again before the walk has ended are not taken a second time."""
    walking.dies_again = True
    assert (await walking.go(DEAD)).count == len(MANY)
    assert await walking.reruns() == dict.fromkeys(MANY, 1)
    assert await count_by_source(walking.inbox, DEAD) == {"acme": len(MANY)}


@pytest.mark.parametrize("stop_after", [1, 2, 3])
async def test_a_stopped_walk_goes_on_after_its_last_key(walking: Walking, stop_after: int) -> None:
    """Stopped between steps and gone on with from the last key, no entry is taken twice or left out."""
    walking.stop_after, walking.dies_again = stop_after, True
    before = await walking.go(DEAD)
    assert before.count == stop_after * 10
    walking.stop.clear()
    after = await walking.go(Query(state=State.DEAD, after=before.last_key, limit=1_000))
    assert before.count + after.count == len(MANY)
    assert await walking.reruns() == dict.fromkeys(MANY, 1)


async def test_no_more_than_was_counted(walking: Walking) -> None:
    """A walk ends with as many entries as its query allows, whatever turned up since they were counted."""
    assert (await walking.go(Query(state=State.DEAD, limit=25))).count == 25
    assert await count_by_source(walking.inbox, DEAD) == {"acme": 15}


async def test_counts_name_the_sources_that_have_any(walking: Walking) -> None:
    """A count tells each source apart and leaves out those of which nothing matches."""
    await walking.inbox.put([delivery("x", source="other"), delivery("y", source="third", type="order.paid")], NOW)
    await settle_all(walking.inbox, State.DEAD)
    assert await count_by_source(walking.inbox, DEAD) == {"acme": 40, "other": 1, "third": 1}
    assert await count_by_source(walking.inbox, Query(state=State.DEAD, type="order.paid")) == {"third": 1}
    assert await count_by_source(walking.inbox, Query(state=State.DEAD, source="other")) == {"other": 1}
    assert await count_by_source(walking.inbox, Query(state=State.SKIPPED)) == {}
