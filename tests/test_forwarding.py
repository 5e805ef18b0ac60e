"""Forwarding against a real event API and a real inbox, with a clock that the test moves."""

import asyncio
import json
from collections import Counter
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from gateway.batch import Limits
from gateway.dev.faults import Answer, Fault, Refuse, Reset, Truncate, WrongIds
from gateway.lane import CAP_SECONDS
from gateway.model import Settlement, State
from tests.bench import KEY, Bench, name_of


async def test_a_backlog_goes_in_batches(bench: Bench) -> None:
    """Entries that wait together travel together, in order, each once."""
    await bench.put(*[f"d{n}" for n in range(300)])
    await bench.reach(forwarded=300)
    assert len(bench.event_api.requests) < 10
    assert [event.id for event in bench.event_api.events] == [name_of(n) for n in range(300)]


async def test_batches_keep_within_count_and_bytes(bench: Bench) -> None:
    """No request holds more events or bytes than the limits allow."""
    bench.sender.limits = Limits(request_bytes=4_000, event_bytes=4_000, events=7)
    await bench.put(*[f"d{n}" for n in range(60)], filler="x" * 400)
    await bench.reach(forwarded=60)
    assert max(len(json.loads(request.body)) for request in bench.event_api.requests) == 7
    assert max(len(request.body) for request in bench.event_api.requests) <= 4_000


async def test_one_poisoned_event_among_many(bench: Bench) -> None:
    """One event of 500 that is always refused costs two requests more; the others arrive once, and it dies alone."""
    bench.event_api.behave = lambda _, __: Refuse(id=name_of(250))
    await bench.put(*[f"d{n}" for n in range(500)])
    await bench.reach(forwarded=499)
    assert len(bench.event_api.requests) <= 1 + 2 * 9
    assert set(bench.arrivals().values()) == {1}
    others = 0
    while (await bench.states())["d250"] is not State.DEAD:
        others += 1
        bench.clock.advance(600_000)
        await bench.put(f"other{others}")
        await bench.reach(forwarded=499 + others)
        assert others < 40  # some are accepted in the very millisecond of its refusal, which tells nothing
    history = await bench.history("d250")
    assert len(history.attempts) >= 5
    assert history.entry.reason == "refused: event refused"
    assert set(bench.arrivals().values()) == {1}


async def test_everything_is_refused(bench: Bench) -> None:
    """When the event API refuses everything, no entry dies, however long it lasts, and all arrive afterwards."""
    bench.event_api.behave = lambda _, __: Answer(400, body=b'{"ids":[""],"status":400,"error":"broken inside"}')
    await bench.put(*[f"d{n}" for n in range(20)])
    await bench.let_pass(3_600_000)
    assert set((await bench.states()).values()) <= {State.PENDING, State.LEASED}
    bench.event_api.behave = None
    await bench.let_pass(2_400_000)
    await bench.reach(forwarded=20)
    assert set(bench.arrivals().values()) == {1}


async def test_accepted_prefix_is_not_sent_again(bench: Bench) -> None:
    """The events before a refused one are in, and are not sent a second time."""
    bench.event_api.answer_next(Refuse(id=name_of(3)))
    await bench.put(*[f"d{n}" for n in range(6)])
    await bench.reach(forwarded=6)
    assert set(bench.arrivals().values()) == {1}
    seeds = [request.header("x-inngest-event-id-seed") for request in bench.event_api.requests]
    assert len(seeds) == len(set(seeds))


@pytest.mark.parametrize("fault", [Reset("stored"), Reset("read"), Truncate(), WrongIds(1), Answer(500), Answer(503)])
async def test_ambiguous_batch_is_sent_again_as_it_was(bench: Bench, fault: Fault) -> None:
    """When nobody knows what was accepted, the same batch goes again: order, bytes and seed."""
    bench.event_api.answer_next(fault)
    await bench.put(*[f"d{n}" for n in range(5)])
    await bench.reach(forwarded=5)
    first, second = bench.event_api.requests[:2]
    assert first.body in {second.body, b""}
    assert first.header("x-inngest-event-id-seed") == second.header("x-inngest-event-id-seed")
    internal = {(event.id, event.internal_id) for event in bench.event_api.events}
    assert len(internal) == 5


async def test_what_is_left_of_a_refused_batch_leaves_its_seed(bench: Bench) -> None:
    """When a batch that is sent again is refused in part, no other events go under its seed, whose ids are taken."""
    bench.event_api.answer_next(Reset("stored"), Refuse(id=name_of(2)), Answer(429, {"Retry-After": "1"}))
    await bench.put(*[f"d{n}" for n in range(5)])
    await bench.reach(forwarded=5)
    bodies: dict[str, set[bytes]] = {}
    for request in bench.event_api.requests:
        bodies.setdefault(request.header("x-inngest-event-id-seed"), set()).add(request.body)
    assert [len(found) for found in bodies.values()] == [1] * len(bodies)
    owners = {(event.internal_id, event.id) for event in bench.event_api.events}
    assert len({internal for internal, _ in owners}) == len(owners)


async def test_rest_of_a_frozen_batch_after_a_death_leaves_its_seed(bench: Bench) -> None:
    """When the process dies after a part of a frozen batch was settled, the rest goes under a seed of its own."""
    bench.event_api.answer_next(Reset("stored"), *[Answer(500)] * 50)
    await bench.put(*[f"d{n}" for n in range(3)])
    await bench.event_api.until(lambda: len(bench.event_api.requests) >= 1)
    await bench.reach(pending=3)
    await bench.stop()
    async with bench.opened() as inbox:
        bench.clock.advance(1_000)
        first, *_ = await inbox.lease(10, 60_000, bench.clock.now())
        await inbox.settle([(first, Settlement(State.FORWARDED))], bench.clock.now())
    bench.event_api._script.clear()
    await bench.start()
    await bench.reach(forwarded=3)
    before, after = bench.event_api.requests[0], bench.event_api.requests[-1]
    assert before.header("x-inngest-event-id-seed") != after.header("x-inngest-event-id-seed")
    owners = {(event.internal_id, event.id) for event in bench.event_api.events}
    assert len({internal for internal, _ in owners}) == len(owners)


async def test_ambiguous_batch_survives_a_restart(bench: Bench) -> None:
    """The frozen batch is the same after the process was restarted, with new arrivals waiting beside it."""
    bench.event_api.answer_next(Reset("stored"), *[Answer(500)] * 3)
    await bench.put(*[f"d{n}" for n in range(5)])
    await bench.event_api.until(lambda: len(bench.event_api.requests) >= 1)
    await bench.reach(pending=5)
    await bench.stop()
    await bench.start()
    await bench.put("late")
    bench.event_api._script.clear()
    await bench.reach(forwarded=6)
    bodies = [request.body for request in bench.event_api.requests if b"acme:d0:" in request.body]
    seeds = {request.header("x-inngest-event-id-seed") for request in bench.event_api.requests if b"d0" in request.body}
    assert len(set(bodies)) == 1
    assert len(seeds) == 1


async def test_outage_backs_off_and_says_so_once(bench: Bench) -> None:
    """While nothing answers, one entry at a time is tried, ever more rarely; the log has one line for it."""
    await bench.event_api.stop()
    with capture_logs() as lines:
        await bench.put(*[f"d{n}" for n in range(50)])
        for _ in range(100):
            bench.clock.advance(30_000)
            await asyncio.sleep(0.003)
        assert set((await bench.states()).values()) <= {State.PENDING, State.LEASED}
        await bench.event_api.start()
        bench.clock.advance(int(CAP_SECONDS * 1000))
        await bench.reach(forwarded=50)
    said = Counter(line["event"] for line in lines)
    assert (said["forwarding_failing"], said["forwarding_recovered"]) == (1, 1)
    assert said["attempt"] < 60
    assert set(bench.arrivals().values()) == {1}


async def test_wrong_key_pauses_and_probes(bench: Bench) -> None:
    """With an unknown key nothing is lost: a probe now and then, and all goes on once the key is known."""
    bench.event_api.keys = {"another"}
    await bench.put(*[f"d{n}" for n in range(10)])
    await bench.event_api.until(lambda: len(bench.event_api.requests) == 1)
    await bench.reach(pending=10)
    assert bench.sender.lane.state == "paused"
    sent = len(bench.event_api.requests)
    bench.clock.advance(20_000)
    await asyncio.sleep(0.05)
    assert len(bench.event_api.requests) == sent
    bench.event_api.keys = {KEY}
    bench.clock.advance(31_000)
    await bench.reach(forwarded=10)
    assert set(bench.arrivals().values()) == {1}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(bench: Bench, status: int) -> None:
    """A redirect is a fault of configuration: the key, which is in the URL, goes nowhere else."""
    bench.event_api.answer_next(Answer(status, {"Location": f"{bench.event_api.url}/e/elsewhere"}))
    await bench.put("d1")
    await bench.event_api.until(lambda: len(bench.event_api.requests) == 1)
    await bench.attempted("d1")
    assert bench.sender.lane.state == "paused"
    assert "redirect" in bench.sender.lane.reason


async def test_retry_after_is_honoured(bench: Bench) -> None:
    """A throttled lane waits as long as it was told."""
    bench.event_api.answer_next(Answer(429, {"Retry-After": "120"}))
    await bench.put("d1")
    await bench.event_api.until(lambda: len(bench.event_api.requests) == 1)
    await bench.attempted("d1")
    assert bench.sender.lane.state == "failing"
    waited = bench.sender.lane.wait(bench.clock.now())
    assert 60 < waited <= 120
    bench.clock.advance(int(waited * 1000) - 1_000)
    await asyncio.sleep(0.05)
    assert len(bench.event_api.requests) == 1
    bench.clock.advance(1_000)
    await bench.reach(forwarded=1)


async def test_too_large_a_request_is_halved(bench: Bench) -> None:
    """A request that is too large for the event API goes in halves, and every event arrives once."""
    bench.event_api.behave = lambda _, body: Answer(413) if len(json.loads(body)) > 3 else None
    await bench.put(*[f"d{n}" for n in range(16)])
    await bench.reach(forwarded=16)
    assert set(bench.arrivals().values()) == {1}


async def test_one_event_too_large_is_a_dead_letter(bench: Bench) -> None:
    """An event that is too large even alone is dead, and the others are not."""
    bench.event_api.behave = lambda _, body: Answer(413) if b'"name":"d3"' in body else None
    await bench.put(*[f"d{n}" for n in range(8)])
    await bench.reach(forwarded=7, dead=1)
    assert (await bench.states())["d3"] is State.DEAD


async def test_delivery_with_more_events_than_a_request_holds(bench: Bench) -> None:
    """A delivery of many events goes in several requests and is forwarded when all are in."""
    bench.sender.limits = replace(bench.limits, events=10)
    await bench.put("many", events=35)
    await bench.reach(forwarded=1)
    history = await bench.history("many")
    assert len(history.events) == 35
    assert len({event.event_api_id for event in history.events}) == 35
    assert [len(json.loads(request.body)) for request in bench.event_api.requests] == [10, 10, 10, 5]


async def test_events_of_one_delivery_are_all_or_nothing(bench: Bench) -> None:
    """A delivery one of whose events is refused is not forwarded, and its neighbours are."""
    bench.event_api.behave = lambda _, __: Refuse(id="acme:three:made:2")
    await bench.put("before")
    await bench.put("three", events=3)
    await bench.put("after")
    await bench.reach(forwarded=2)
    assert (await bench.states())["three"] in {State.PENDING, State.LEASED}


async def test_source_that_is_configured_no_more(bench: Bench) -> None:
    """Entries of a source that left the configuration wait, and go on when it comes back."""
    sources = bench.leasing.sources
    bench.forwarder.reconfigure(replace(bench.leasing, sources={}))
    await bench.put("d1")
    await bench.reach(pending=1)
    bench.forwarder.reconfigure(replace(bench.leasing, sources=sources))
    bench.clock.advance(60_000)
    await bench.reach(forwarded=1)


async def test_attempts_and_answers_are_kept(bench: Bench) -> None:
    """Each attempt is kept with its number, status and outcome, and each event with the id it was given."""
    bench.event_api.answer_next(Answer(503))
    await bench.put("d1")
    await bench.reach(forwarded=1)
    history = await bench.history("d1")
    assert [(a.number, a.status, a.outcome) for a in history.attempts] == [
        (1, 503, "event_api_failed"),
        (2, 200, "accepted"),
    ]
    [event] = history.events
    assert (event.id, event.name) == (name_of(1), "acme/made")
    assert event.event_api_id == bench.event_api.events[0].internal_id


async def test_the_key_is_in_no_log_line_and_no_reason(bench: Bench) -> None:
    """Whatever the event API does, its key, which is in the URL, stays out of log and inbox."""
    faults: list[Fault] = [Answer(401, body=b'{"error":"no key canary"}'), Answer(500, body=b'{"error":"canary"}')]
    bench.event_api.answer_next(*faults, Reset("read"), Reset("unread"), Answer(302, {"Location": "/e/canary"}))
    with capture_logs() as lines:
        await bench.put("d1")
        for _ in range(12):
            bench.clock.advance(400_000)
            await asyncio.sleep(0.02)
        await bench.reach(forwarded=1)
    assert "canary" not in str(lines)
    assert "canary" not in str(await bench.history("d1"))
