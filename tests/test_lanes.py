"""One poisoned or hanging source does not hold up the others, and retries keep within their budget."""

import asyncio
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway import Event
from gateway.dev.faults import Answer, Refuse
from gateway.find import load
from gateway.forward import PATIENCE_SECONDS
from gateway.lane import RetryBudget
from gateway.mapper import Isolation
from gateway.model import Delivery, State
from gateway.sender import TROUBLED_MS
from gateway.stamp import Mapper
from tests.bench import Bench, name_of, transform
from tests.signed import source


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """Give a bench with a second source, `good`."""
    made = Bench(tmp_path)
    await made.event_api.start()
    await made.start()
    good = replace(source("hmac", name="good"), mapper=Mapper("good", "tests:transform", transform, "good"))
    made.leasing = replace(made.leasing, sources={**made.leasing.sources, "good": good})
    made.forwarder.reconfigure(made.leasing)
    yield made
    await made.stop()
    await made.event_api.stop()


async def put(bench: Bench, *names: str, into: str) -> None:
    """Keep deliveries of a source."""
    deliveries = [
        Delivery(into, "hmac", name, "made", bench.clock.now(), b"{}", content=json.dumps({"name": name}).encode())
        for name in names
    ]
    await bench.inbox.put(deliveries, bench.clock.now())
    bench.forwarder.note_kept()


def refuse_acme(_: int, body: bytes) -> Refuse | None:
    """Refuse every request at its first event of the source acme, as the event API does."""
    events = json.loads(body)
    bad = next((event["id"] for event in events if event["name"].startswith("acme/")), None)
    return Refuse(id=bad) if bad else None


async def test_poisoned_source_beside_a_good_one(bench: Bench) -> None:
    """When all of one source is refused, the other's entries arrive all the same, each once, with little delay."""
    bench.event_api.behave = refuse_acme
    delays: list[int] = []
    with capture_logs() as lines:
        for turn in range(10):
            await put(bench, *[f"bad{turn}-{n}" for n in range(50)], into="acme")
            await put(bench, *[f"good{turn}-{n}" for n in range(50)], into="good")
            waited = 0
            while len(bench.event_api.events) < (turn + 1) * 50:
                await asyncio.sleep(0.01)
                bench.clock.advance(100)
                waited += 100
            delays.append(waited)
        await bench.reach(forwarded=500)
    assert sorted(delays)[5] <= 2_000
    assert set(bench.arrivals().values()) == {1}
    assert Counter(line["event"] for line in lines)["source_set_apart"] >= 1
    states = await bench.states()
    assert {state for name, state in states.items() if name.startswith("good")} == {State.FORWARDED}
    assert {state for name, state in states.items() if name.startswith("bad")} <= {State.PENDING, State.LEASED}


async def test_failing_lane_probes_with_another_source(bench: Bench) -> None:
    """While everything seems refused, a source that was not refused is probed first, so that a good one goes on."""
    bench.event_api.behave = refuse_acme
    await put(bench, *[f"bad{n}" for n in range(200)], into="acme")
    await bench.event_api.until(lambda: len(bench.event_api.requests) >= 2)
    await put(bench, "good", into="good")
    for _ in range(40):
        bench.clock.advance(500)
        await asyncio.sleep(0.01)
        if bench.arrivals():
            break
    assert list(bench.arrivals()) == ["good:good:made"]


async def test_hanging_transform_beside_a_good_source(bench: Bench) -> None:
    """A transform that hangs on every entry costs its own source; the other's entries go on meanwhile."""
    gate = threading.Event()

    def hang(_: Delivery) -> Event | None:
        gate.wait(20)
        return None

    slow = Mapper("acme", "tests:hang", hang, "acme", timeout_seconds=0.3)
    sources = {**bench.leasing.sources, "acme": replace(bench.leasing.sources["acme"], mapper=slow)}
    bench.forwarder.reconfigure(replace(bench.leasing, sources=sources))
    await put(bench, *[f"slow{n}" for n in range(100)], into="acme")
    await put(bench, *[f"good{n}" for n in range(5)], into="good")
    await bench.event_api.until(lambda: len(bench.event_api.events) == 5, within=5)
    await put(bench, *[f"later{n}" for n in range(5)], into="good")
    await bench.event_api.until(lambda: len(bench.event_api.events) == 10, within=5)
    dead: list[str] = []
    while not dead:
        await asyncio.sleep(0.02)
        bench.clock.advance(100)
        dead = [name for name, state in (await bench.states()).items() if state is State.DEAD]
    assert len(dead) < 20
    gate.set()


async def test_slow_transform_beside_a_good_source(bench: Bench) -> None:
    """A transform that is slow within its time holds up the other's entries for a moment, and fails nowhere."""
    gate = threading.Event()

    def dawdle(delivery: Delivery) -> Event:
        gate.wait(20)
        return Event(name="made", data={"name": delivery.id})

    slow = Mapper("acme", "tests:dawdle", dawdle, "acme", timeout_seconds=30)
    sources = {**bench.leasing.sources, "acme": replace(bench.leasing.sources["acme"], mapper=slow)}
    bench.forwarder.reconfigure(replace(bench.leasing, sources=sources))
    for turn in range(6):
        await put(bench, *[f"slow{turn}-{n}" for n in range(5)], into="acme")
        await put(bench, *[f"good{turn}-{n}" for n in range(5)], into="good")
    await bench.event_api.until(lambda: len(bench.event_api.events) == 30, within=8)
    assert {event.id.partition(":")[0] for event in bench.event_api.events} == {"good"}
    gate.set()
    await bench.reach(forwarded=60)
    assert set(bench.arrivals().values()) == {1}


async def test_slow_source_stays_apart(bench: Bench) -> None:
    """What is slow each time is found to be so once, and not once a minute again at the cost of others."""

    def dawdle(delivery: Delivery) -> Event:
        time.sleep(PATIENCE_SECONDS * 1.5)
        return Event(name="made", data={"name": delivery.id})

    slow = Mapper("acme", "tests:dawdle", dawdle, "acme", timeout_seconds=30)
    sources = {**bench.leasing.sources, "acme": replace(bench.leasing.sources["acme"], mapper=slow)}
    bench.forwarder.reconfigure(replace(bench.leasing, sources=sources))
    for turn in range(1, 4):
        await put(bench, f"slow{turn}", into="acme")
        await bench.reach(forwarded=turn)
        assert bench.sender.is_troubled("acme")
        bench.clock.advance(TROUBLED_MS // 2)
    assert bench.sender.is_troubled("acme")
    bench.clock.advance(TROUBLED_MS)
    assert not bench.sender.is_troubled("acme")


async def test_turns_of_threads(bench: Bench) -> None:
    """Beside code of users a thread has the interpreter for half a millisecond at a time, else for Python's five."""
    shipped = Mapper("acme", "transforms.stripe:transform", load("transforms.stripe:transform", bench.folder), "acme")
    users = replace(shipped, reference="./acme.py:transform", function=transform)
    routed = replace(shipped, routes=(("made", users),))
    isolation = Isolation("acme", (), bench.folder, workers=0, memory_mb=64, environ={})
    for mapper, seconds in (
        (shipped, 0.005),
        (users, 0.0005),
        (routed, 0.0005),
        (replace(users, isolation=isolation), 0.005),
    ):
        await bench.forwarder.prepare({"acme": replace(bench.leasing.sources["acme"], mapper=mapper)})
        assert sys.getswitchinterval() == pytest.approx(seconds)


async def test_learned_limit(bench: Bench) -> None:
    """After a request was too large, later ones stay below its size, and the log says what to set."""
    bench.event_api.behave = lambda _, body: Answer(413) if len(body) > 100_000 else None
    with capture_logs() as lines:
        await bench.put(*[f"d{n}" for n in range(300)], filler="x" * 1_000)
        await bench.reach(forwarded=300)
        refused = sum(request.status == 413 for request in bench.event_api.requests)
        await bench.put(*[f"e{n}" for n in range(300)], filler="x" * 1_000)
        await bench.reach(forwarded=600)
    assert refused > 0
    assert sum(request.status == 413 for request in bench.event_api.requests) == refused
    assert [line for line in lines if line["event"] == "limit_learned"][-1]["request_bytes"] <= 100_000
    assert set(bench.arrivals().values()) == {1}


async def test_partly_failing_event_api(bench: Bench) -> None:
    """With a third of the requests failing everything arrives, with the same bytes at every try."""
    bench.event_api.behave = lambda number, _: Answer(503) if number % 3 == 0 else None
    bench.sender.limits = replace(bench.limits, events=5)
    await bench.put(*[f"d{n}" for n in range(200)])
    await bench.reach(forwarded=200)
    assert set(bench.arrivals()) == {name_of(n) for n in range(200)}
    assert set(bench.arrivals().values()) == {1}


def test_retry_budget() -> None:
    """Retries are a tenth of what is sent first, one a second, and a few in reserve."""
    budget = RetryBudget()
    assert sum(budget.withdraw(0) for _ in range(100)) == 20
    for _ in range(50):
        budget.deposit()
    assert sum(budget.withdraw(0) for _ in range(100)) in {4, 5}
    assert sum(budget.withdraw(3_000) for _ in range(100)) in {3, 4}
    assert sum(budget.withdraw(10_000_000) for _ in range(100)) == 20
