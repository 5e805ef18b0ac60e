"""Row 54: a replay of very many entries beside live webhooks."""

import asyncio
import gc
import resource
from pathlib import Path

import apsw
import pytest

from gateway.dev.event_api import LocalEventApi
from gateway.dev.event_store import StoredEvent
from gateway.history import Query, Replayed
from gateway.inbox.rows import body_row
from gateway.model import Delivery, ReplayMode, State
from gateway.replay import MOST_PER_STEP, walk
from tests.bench import KEY, Bench

RATE = 10_000
MIB = 1 << 20

# The public door takes a minute for each hundred thousand; what it writes is written here in a few statements.
FILL = """
CREATE TEMP TABLE numbers AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
  SELECT i, 'r' || i AS name FROM n;
INSERT INTO entries (key, source, provider, delivery_id, type, trace_id, received_at, state, due_at, reason, settled_at)
  SELECT i, 'acme', 'hmac', name, 'made', '', :now, 'dead', :now, 'broken', :now FROM numbers;
INSERT INTO bodies (key, metadata, body)
  SELECT i, :metadata, CAST('{"name":"' || name || '"}' AS BLOB) FROM numbers;
INSERT INTO dedupe (key, source, first_seen, expires_at) SELECT i, 'acme', :now, :now FROM numbers;
"""


def fill(path: Path, count: int, now: int) -> None:
    """Make so many dead letters, `r1` and on, in an inbox that nobody serves."""
    metadata = body_row(Delivery("acme", "hmac", "r", "made", now, body=b"", content=b""))[0]
    connection = apsw.Connection(str(path))
    with connection:
        connection.execute(FILL, {"count": count, "now": now, "metadata": metadata})
    connection.close()


class Replaying:
    """A replay on a bench, which before each next step has a live delivery put and forwarded."""

    def __init__(self, bench: Bench, count: int) -> None:
        self.seen = bytearray(count + 1)
        self.steps: list[Replayed] = []
        self.overtaken: list[int] = []
        self.resident: list[float] = []
        self.stop = asyncio.Event()
        self._bench = bench
        self._arrived = 0
        self._live: set[str] = set()
        bench.event_api.observe = self._witness

    async def go(self, query: Query, steps: int) -> None:
        """Replay what the query matches, stopping after so many steps."""
        clock = self._bench.clock
        self.stop.clear()
        async for taken in walk([query], self._step, rate=RATE, clock=clock, stop=self.stop):
            self.steps.append(taken)
            if len(self.steps) == steps:
                self.stop.set()

    async def _step(self, query: Query) -> Replayed:
        bench, name = self._bench, f"live{len(self.steps)}"
        taken = await bench.inbox.replay(query, ReplayMode.RESEND, bench.clock.now())
        bench.forwarder.wake()
        before = self._arrived
        await bench.put(name)
        await bench.event_api.until(lambda: name in self._live)
        self.overtaken.append(self._arrived - before)
        bench.clock.advance(taken.count * 1000 // RATE)
        if len(self.steps) % 10 == 0:
            self.resident.append(resident())
        return taken

    def _witness(self, event: StoredEvent, _seed: str) -> None:
        name = event.id.split(":")[1]
        if name.startswith("r"):
            self._arrived += 1
            self.seen[int(name[1:])] += 1
        else:
            self._live.add(name)


@pytest.mark.parametrize(
    "count",
    [20_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(3_600)])],
)
async def test_replay_of_very_many(tmp_path: Path, count: int) -> None:
    """A replay goes in small steps, between which live webhooks are forwarded; stopped and gone on with, each entry
    arrives once, and memory stays flat.
    """  # noqa: D205 - one sentence
    bench = Bench(tmp_path)
    bench.event_api = LocalEventApi(keys={KEY}, clock=bench.clock.now, keep=100)
    async with bench.opened():
        pass
    fill(tmp_path / "inbox.db", count, bench.clock.now())
    await bench.event_api.start()
    await bench.start()
    replaying = Replaying(bench, count)
    query = Query(state=State.DEAD, limit=count)
    steps = count // MOST_PER_STEP
    await replaying.go(query, steps // 2)
    assert len(replaying.steps) == steps // 2
    await bench.stop()
    await bench.start()
    await replaying.go(Query(state=State.DEAD, limit=count, after=replaying.steps[-1].last_key), steps)
    await bench.event_api.until(lambda: sum(replaying.seen) >= count)
    await bench.stop()
    await bench.event_api.stop()
    assert {taken.count for taken in replaying.steps} == {MOST_PER_STEP}
    assert max(replaying.overtaken) <= 2 * MOST_PER_STEP
    assert set(replaying.seen[1:]) == {1}
    print(f"{count}: MiB {replaying.resident[:2]} .. {max(replaying.resident)}")  # noqa: T201
    assert max(replaying.resident) - replaying.resident[1] < 20


def resident() -> float:
    """Return the resident memory of this process in MiB."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / MIB
