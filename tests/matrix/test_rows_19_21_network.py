"""Rows 19 to 21: what a network does to an exchange with the event API."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from yarl import URL

from tests.bench import Bench, name_of, running_bench
from tests.chaos import ChaosProxy, Mode

HARMLESS = [Mode.LATENCY, Mode.DRIP]
UNSEEN = [Mode.RESET_AT_ONCE, Mode.RESET_READ, Mode.BLACK_HOLE]
AMBIGUOUS = [
    Mode.RESET_STORED,
    Mode.RESET_ANSWERING,
    Mode.BLACK_HOLE_STORED,
    Mode.HALF_CLOSE,
    Mode.TRUNCATION,
]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Give a bench whose way to the event API leads through `proxy`, and gives up soon."""
    async with running_bench(tmp_path) as made:
        await made.stop()
        made.timeout_seconds = 0.4
        yield made


@pytest.fixture
async def proxy(bench: Bench) -> AsyncIterator[ChaosProxy]:
    """Give the proxy, and start the bench behind it."""
    made = ChaosProxy(URL(bench.event_api.url).port or 0, seed=7)
    await made.start()
    bench.url = made.url
    await bench.start()
    yield made
    await made.stop()


def seeds(bench: Bench) -> list[str]:
    """Return the seeds of the requests that reached the event API."""
    return [request.header("x-inngest-event-id-seed") for request in bench.event_api.requests]


@pytest.mark.parametrize("mode", HARMLESS, ids=lambda mode: mode.value)
async def test_slow_answers_are_answers(bench: Bench, proxy: ChaosProxy, mode: Mode) -> None:
    """An answer that comes late or byte by byte counts, and nothing is sent twice."""
    proxy.script(mode)
    await bench.put(*[f"d{n}" for n in range(5)])
    await bench.reach(forwarded=5)
    assert len(bench.event_api.requests) == 1
    assert proxy.seen == {mode: 1}


@pytest.mark.parametrize("mode", UNSEEN, ids=lambda mode: mode.value)
async def test_requests_that_never_arrive(bench: Bench, proxy: ChaosProxy, mode: Mode) -> None:
    """A request that the event API never saw is sent again as it was, and each event arrives once."""
    proxy.script(mode)
    await bench.put(*[f"d{n}" for n in range(5)])
    await bench.reach(forwarded=5)
    history = await bench.history("d0")
    assert [attempt.outcome for attempt in history.attempts] == ["interrupted", "accepted"]
    assert [event.id for event in bench.event_api.events] == [name_of(n) for n in range(5)]
    assert proxy.seen[mode] == 1


@pytest.mark.parametrize("mode", AMBIGUOUS, ids=lambda mode: mode.value)
async def test_answers_that_never_arrive(bench: Bench, proxy: ChaosProxy, mode: Mode) -> None:
    """When the answer is lost after the events were stored, the very same batch goes again: order, bytes and seed."""
    proxy.script(mode)
    await bench.put(*[f"d{n}" for n in range(5)])
    await bench.reach(forwarded=5)
    first, second = bench.event_api.requests
    assert first.body == second.body
    assert len(set(seeds(bench))) == 1
    assert bench.arrivals() == {name_of(n): 2 for n in range(5)}
    assert len({event.internal_id for event in bench.event_api.events}) == 5
    assert proxy.seen[mode] == 1


async def test_frozen_batch_outlives_several_losses_and_a_restart(bench: Bench, proxy: ChaosProxy) -> None:
    """A batch whose answer is lost in every way, one after the other, stays the same batch, over a restart too."""
    proxy.script(*AMBIGUOUS)
    await bench.put(*[f"d{n}" for n in range(5)])
    await bench.event_api.until(lambda: len(bench.event_api.requests) >= 1)
    await bench.stop()
    await bench.start()
    await bench.put("late")
    await bench.reach(forwarded=6)
    batches = [r for r in bench.event_api.requests if b"acme:d0:" in r.body]
    assert len(batches) > 2
    assert len({(r.body, r.header("x-inngest-event-id-seed")) for r in batches}) == 1


@pytest.mark.parametrize("seed", range(3))
async def test_a_bad_line(bench: Bench, proxy: ChaosProxy, seed: int) -> None:
    """Over a line on which every other exchange fails, every event arrives, with one id and one form, and none dies."""
    proxy.rng.seed(seed)
    slow = {Mode.BLACK_HOLE, Mode.BLACK_HOLE_STORED}
    proxy.draw = [mode if mode not in slow else Mode.PASS for mode in Mode] + [Mode.PASS] * 6
    bench.sender.limits = replace(bench.limits, events=2)
    await bench.put(*[f"d{n}" for n in range(20)])
    await bench.reach(forwarded=20)
    forms: dict[str, set[bytes]] = {}
    for event in bench.event_api.events:
        forms.setdefault(event.id, set()).add(event.raw)
    assert {event_id: len(raws) for event_id, raws in forms.items()} == {name_of(n): 1 for n in range(20)}
    assert len(proxy.seen) > 3
