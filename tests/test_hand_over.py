"""What was just kept goes to the forwarder in memory while nothing older waits, and never instead of it."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest

from gateway import hand_over, supply
from gateway.dev.faults import Answer, Reset
from gateway.model import Lease, State
from gateway.supply import MOST_HANDED_MS
from tests.bench import Bench, name_of


def watch_leases(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> list[Lease]:
    """Return a list that gets every entry that is leased from disk from now on."""
    leased: list[Lease] = []
    lease = bench.inbox.lease

    async def watched(limit: int, duration_ms: int, now: int, exclude: Collection[str] = frozenset()) -> list[Lease]:
        found = await lease(limit, duration_ms, now, exclude)
        leased.extend(found)
        return found

    monkeypatch.setattr(bench.inbox, "lease", watched)
    return leased


async def opened(bench: Bench) -> None:
    """Wait until the forwarder has seen that nothing waits on disk."""
    await bench.put("first")
    await bench.reach(forwarded=1)


async def test_the_steady_state_reads_nothing_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries that come while nothing waits are forwarded and settled without a lease from disk."""
    await opened(bench)
    leased = watch_leases(bench, monkeypatch)
    for n in range(200):
        await bench.put(f"d{n}")
    await bench.reach(forwarded=201)
    assert leased == []
    assert sorted(event.id for event in bench.event_api.events[1:]) == sorted(name_of(n) for n in range(200))
    assert (await bench.history("d7")).attempts[0].number == 1


async def test_entries_that_follow_each_other_share_a_request(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes soon after a request waits a moment for company, and not once there is enough."""
    monkeypatch.setattr(supply, "GATHER_SECONDS", 2.0)
    await opened(bench)
    for n in range(20):
        await bench.put(f"d{n}")
    await bench.reach(forwarded=21)
    sent = len(bench.event_api.requests)
    assert sent < 8
    monkeypatch.setattr(supply, "GATHER_SECONDS", 60.0)
    monkeypatch.setattr(supply, "ENOUGH", 5)
    await bench.put(*[f"e{n}" for n in range(5)])
    await bench.reach(forwarded=26)
    assert len(bench.event_api.requests) == sent + 1


async def test_more_than_there_is_room_for_waits_on_disk(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds no room in memory, by number or by bytes, is leased from disk; all of it arrives once."""
    await opened(bench)
    monkeypatch.setattr(hand_over, "MOST_ENTRIES", 10)
    monkeypatch.setattr(hand_over, "MOST_BYTES", 2_000)
    leased = watch_leases(bench, monkeypatch)
    await asyncio.gather(*(bench.put(f"d{n}") for n in range(100)))
    await bench.put("large", filler="x" * 2_000)
    await bench.reach(forwarded=102)
    assert 0 < len(leased) < 101
    assert "large" in {lease.entry.delivery.id for lease in leased}
    assert set(bench.arrivals().values()) == {1}


async def test_older_ones_on_disk_go_first(bench: Bench) -> None:
    """While a backlog waits on disk nothing is handed over, so that all goes in the order of its arrival."""
    bench.sender.limits = replace(bench.limits, events=20)
    bench.event_api.behave = lambda _, __: Answer(503)
    await bench.put("first")
    await bench.attempted("first")
    await bench.put(*[f"d{n}" for n in range(200)])
    assert set((await bench.states()).values()) == {State.PENDING}
    bench.event_api.behave = None
    while not bench.event_api.events:
        bench.clock.advance(1_000)
        await asyncio.sleep(0.01)
    await bench.put("d200")
    await bench.reach(forwarded=202)
    assert bench.event_api.events[-1].id == name_of(200)


async def test_a_lane_that_fails_puts_it_back(bench: Bench) -> None:
    """What waits in memory when the event API fails waits on disk from then on, and arrives once when it works."""
    await opened(bench)
    bench.event_api.behave = lambda _, __: Answer(503)
    for n in range(50):
        await bench.put(f"d{n}")
    for _ in range(500):
        if State.LEASED not in (await bench.states()).values():
            break
        await asyncio.sleep(0.01)
    assert set((await bench.states()).values()) == {State.FORWARDED, State.PENDING}
    bench.event_api.behave = None
    await bench.let_pass(600_000)
    await bench.reach(forwarded=51)
    assert set(bench.arrivals().values()) == {1}


async def test_what_waited_long_is_not_sent_on_an_old_lease(bench: Bench) -> None:
    """A lease that has run for long before a slot was free is given back and taken anew, so that none runs out."""
    await opened(bench)
    handed = bench.forwarder._supply.handed
    deliveries = [(await bench.history("first")).entry.delivery]
    assert handed.expect(deliveries) == bench.leasing.duration_ms
    bench.inbox.hand_over_to(handed)
    await bench.put("late")
    handed.take(deliveries, ())
    bench.clock.advance(MOST_HANDED_MS + 1)
    await bench.reach(forwarded=2)
    assert set(bench.arrivals().values()) == {1}


async def test_what_is_leased_while_the_lane_fails_waits(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that fails while the next entries are leased keeps these back for as long as the event API wants."""
    await opened(bench)
    monkeypatch.setattr(hand_over, "MOST_ENTRIES", 0)
    lease, looked = bench.inbox.lease, asyncio.Event()

    async def lease_and_fail(*given: Any) -> list[Lease]:
        looked.set()
        if found := await lease(*given):
            monkeypatch.setattr(bench.inbox, "lease", lease)
            bench.sender.lane.failed(bench.clock.now(), "throttled", 600)
        return found

    monkeypatch.setattr(bench.inbox, "lease", lease_and_fail)
    bench.forwarder.wake()
    await looked.wait()
    await bench.put("d1")
    for _ in range(100):
        await asyncio.sleep(0.01)
    assert bench.sender.lane.state == "failing"
    assert len(bench.event_api.requests) == 1
    bench.clock.advance(600_000)
    await bench.reach(forwarded=2)


async def test_a_frozen_batch_that_is_given_back_stays_frozen(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch whose fate is unknown is sent as it was, also after it was leased when the lane had just failed."""
    bench.event_api.answer_next(Reset("stored"))
    await bench.put("d1", "d2")
    await bench.event_api.until(lambda: len(bench.event_api.requests) == 1)
    await bench.attempted("d2")
    lease = bench.inbox.lease

    async def lease_and_fail(*given: Any) -> list[Lease]:
        if found := await lease(*given):
            monkeypatch.setattr(bench.inbox, "lease", lease)
            bench.sender.lane.failed(bench.clock.now(), "throttled", 600)
        return found

    monkeypatch.setattr(bench.inbox, "lease", lease_and_fail)
    await bench.reach(leased=0, pending=2)
    while bench.inbox.lease is not lease:
        bench.clock.advance(1_000)
        await asyncio.sleep(0.01)
    await bench.put("later")
    bench.clock.advance(600_000)
    await bench.reach(forwarded=3)
    sent = [request for request in bench.event_api.requests if b"acme:d1:" in request.body]
    assert len({request.body for request in sent}) == 1
    assert len({request.header("x-inngest-event-id-seed") for request in sent}) == 1


async def test_a_stop_leaves_no_lease(bench: Bench) -> None:
    """What was handed over and not sent when the forwarder stops is free for another at once."""
    await opened(bench)
    await asyncio.gather(*(bench.put(f"d{n}") for n in range(20)))
    await bench.forwarder.stop(1)
    assert set((await bench.states()).values()) <= {State.FORWARDED, State.PENDING}
