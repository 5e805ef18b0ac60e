"""How many events a second are sent under one event key."""

from dataclasses import replace

from gateway.sender import Rate
from tests.bench import Bench

PER_SECOND = 10.0


async def test_events_go_no_faster_than_allowed(bench: Bench) -> None:
    """What is over the rate waits for its turn in the inbox; nothing is lost, tried in vain or sent too early."""
    bench.sender.rate = Rate("key", PER_SECOND)
    bench.sender.limits = replace(bench.sender.limits, events=20)
    begun = bench.clock.now()
    await bench.put(*(f"d{n}" for n in range(200)))
    await bench.reach(forwarded=200)
    assert set(bench.arrivals().values()) == {1}
    events = bench.event_api.events
    assert len(events) == 200
    for sent, event in enumerate(events):
        assert event.received_at >= begun + (sent // 20) * 2_000
    assert (await bench.history("d0")).entry.attempts == 1
    assert bench.sender.lane.state == "healthy"


async def test_without_a_rate_nothing_waits(bench: Bench) -> None:
    """Where none is set, events go as they come."""
    await bench.put(*(f"d{n}" for n in range(50)))
    begun = bench.clock.now()
    await bench.reach(forwarded=50)
    assert all(event.received_at < begun + 5_000 for event in bench.event_api.events)
