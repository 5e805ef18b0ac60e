"""Running transforms: in order, each within its time, and none able to hurt the others or the process."""

from __future__ import annotations

import asyncio
import functools
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from gateway import Delivery, Event, Skip
from gateway.errors import TransformError
from gateway.model import Entry
from gateway.stamp import Mapper, Stamped, Transform
from gateway.transform import MAX_ASYNC, Mapped, Postponed, Runner, load
from tests.mapped import entry, mapper

TINY = 0.05
AMPLE = 20.0


@pytest.fixture
async def runner() -> AsyncIterator[Runner]:
    """Make a runner and close it."""
    made = Runner()
    yield made
    await made.close()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Make an event that blocked threads wait for, set when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def named(delivery: Delivery) -> Event:
    """Return one event named after the delivery."""
    return Event(name=delivery.id, data={})


async def named_later(delivery: Delivery) -> Event:
    """Return one event after a turn of the loop."""
    await asyncio.sleep(0)
    return named(delivery)


async def named_one_by_one(delivery: Delivery) -> AsyncIterator[Event]:
    """Yield one event."""
    yield named(delivery)


class Callable:
    """A transform that is an object."""

    def __call__(self, delivery: Delivery) -> Event:
        """Return one event."""
        return named(delivery)


class AsyncCallable:
    """A transform that is an object with an async call."""

    async def __call__(self, delivery: Delivery) -> Event:
        """Return one event."""
        return await named_later(delivery)


def told(results: list[Mapped]) -> list[str]:
    """Return the name of each single event, the reason of each skip, and each error's sentence."""
    return [
        result.events[0].name
        if isinstance(result, Stamped)
        else (result.reason if isinstance(result, Skip) else f"{result}")
        for result in results
    ]


async def one(runner: Runner, chosen: Mapper) -> str:
    """Run one transform on one entry."""
    return told(await runner.run([(entry(id="one"), chosen)]))[0]


async def test_nothing_to_do(runner: Runner) -> None:
    """No entries make no results."""
    assert await runner.run([]) == []


KINDS: list[Transform] = [
    named,
    named_later,
    named_one_by_one,
    Callable(),
    AsyncCallable(),
    functools.partial(named),
    functools.partial(named_later),
    lambda delivery: iter([named(delivery)]),
]


async def test_results_come_in_the_order_of_the_entries(runner: Runner) -> None:
    """Sync and async transforms of every kind run mixed, and each result stands where its entry stood."""
    items = [(entry(id=f"n{n}"), mapper(KINDS[n % len(KINDS)])) for n in range(200)]
    assert told(await runner.run(items)) == [f"acme/n{n}" for n in range(200)]


async def test_sync_transforms_share_one_thread_off_the_loop(runner: Runner) -> None:
    """The sync transforms of a batch run in one thread, which is not the loop's and does not keep the process alive."""
    seen: set[threading.Thread] = set()
    await runner.run([(entry(), mapper(lambda _: seen.add(threading.current_thread())))] * 50)
    [thread] = seen
    assert thread is not threading.current_thread()
    assert thread.daemon


async def test_async_transforms_run_several_at_once_but_bounded(runner: Runner) -> None:
    """Async transforms overlap, never more than fifty of them."""
    running = most = 0

    async def count(_: Delivery) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _turn in range(5):
            await asyncio.sleep(0)
        running -= 1

    await asyncio.gather(*(runner.run([(entry(), mapper(count))] * 40) for _ in range(4)))
    assert most == MAX_ASYNC


def exits(_: Delivery) -> NoReturn:
    """Try to end the process."""
    raise SystemExit(3)


def interrupts(_: Delivery) -> NoReturn:
    """Try to interrupt the process."""
    raise KeyboardInterrupt


def recurses(delivery: Delivery) -> object:
    """Never come to an end."""
    return recurses(delivery)


def exhausts(_: Delivery) -> NoReturn:
    """Find no memory."""
    raise MemoryError


def exits_late(_: Delivery) -> Iterator[Event]:
    """Try to end the process from a generator."""
    yield Event(name="x", data={})
    sys.exit("late")


class Unprintable(Exception):
    """An exception that cannot be told."""

    def __str__(self) -> str:
        """Fail."""
        raise ValueError


def unprintable(_: Delivery) -> NoReturn:
    """Raise what cannot be told."""
    raise Unprintable


def misses(delivery: Delivery) -> Event:
    """Look for what is not in the payload."""
    return Event(name=delivery.json()["action"], data={})


def forgets_to_await(delivery: Delivery) -> object:
    """Return what should have been awaited."""
    return named_later(delivery)


FAULTS = [
    (exits, "raised SystemExit: 3"),
    (interrupts, "raised KeyboardInterrupt"),
    (recurses, "raised RecursionError: maximum recursion depth exceeded"),
    (exhausts, "raised MemoryError"),
    (exits_late, "raised SystemExit: late"),
    (unprintable, "raised Unprintable"),
    (misses, "raised KeyError: 'action'"),
    (lambda _: named_later, "returned a value of type function"),
    (forgets_to_await, "returned a coroutine; declare the transform itself with `async def`"),
]


@pytest.mark.parametrize(("function", "sentence"), FAULTS, ids=lambda value: value if isinstance(value, str) else "")
async def test_faults(function: Any, sentence: str, runner: Runner) -> None:
    """Whatever a sync transform does is a sentence for its own entry, and the others are mapped."""
    items = [(entry(id="a"), mapper(named)), (entry(), mapper(function)), (entry(id="b"), mapper(named))]
    before, failed, after = told(await runner.run(items))
    assert failed.startswith(f"acme:transform {sentence}")
    assert (before, after) == ("acme/a", "acme/b")


@pytest.mark.parametrize(
    ("function", "sentence"), FAULTS[:-2], ids=lambda value: value if isinstance(value, str) else ""
)
async def test_faults_of_async_transforms(function: Any, sentence: str, runner: Runner) -> None:
    """Whatever an async transform does is a sentence for its own entry, and the loop goes on."""

    async def fails(delivery: Delivery) -> object:
        await asyncio.sleep(0)
        return function(delivery)

    items = [(entry(id="a"), mapper(named_later)), (entry(), mapper(fails)), (entry(id="b"), mapper(named))]
    before, failed, after = told(await runner.run(items))
    assert failed.startswith(f"acme:transform {sentence}")
    assert (before, after) == ("acme/a", "acme/b")


async def test_a_cancelled_error_of_the_transform_is_its_fault(runner: Runner) -> None:
    """A transform that lets a CancelledError out has failed; nobody else is cancelled."""

    async def cancels(_: Delivery) -> NoReturn:
        raise asyncio.CancelledError

    async def times_out(_: Delivery) -> NoReturn:
        raise TimeoutError("the API of Acme is slow")

    assert await one(runner, mapper(cancels)) == "acme:transform raised CancelledError"
    assert await one(runner, mapper(times_out)) == "acme:transform raised TimeoutError: the API of Acme is slow"


USER_CODE = """
import json
from acme_run.inner import look

def transform(delivery):
    return look(delivery)

def parse(delivery):
    return json.loads("{")

def invalid(delivery):
    return delivery.json()

def long(delivery):
    raise ValueError("x" * 1000)
"""


async def test_the_place_is_the_deepest_in_user_code(
    runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file and line are the user's own, not those of a library called from there, and are never cut off."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    package = tmp_path / "acme_run"
    package.mkdir()
    (package / "outer.py").write_text(USER_CODE)
    (package / "inner.py").write_text("def look(delivery):\n    return {}['missing']\n")
    outer = package / "outer.py"
    for name, said in {
        "transform": f"raised KeyError: 'missing' ({package / 'inner.py'}:2)",
        "parse": f"property name enclosed in double quotes: line 1 column 2 (char 1) ({outer}:9)",
        "invalid": f"raised InvalidPayload: the body is not valid JSON in UTF-8 ({outer}:12)",
        "long": f"xxx… ({outer}:15)",
    }.items():
        reference = f"acme_run.outer:{name}"
        chosen = mapper(load(reference, tmp_path), reference)
        [result] = await runner.run([(entry(body=b"{secret"), chosen)])
        assert isinstance(result, TransformError)
        assert str(result).endswith(said)
        assert len(str(result)) <= 300
        assert "secret" not in str(result)
        assert (result.__cause__, result.__context__, result.__traceback__) == (None, None, None)


async def test_a_blocked_transform_does_not_stop_the_others(runner: Runner, gate: threading.Event) -> None:
    """What takes too long fails alone; the rest of the batch goes on in another thread."""
    ran: list[str] = []

    def note(delivery: Delivery) -> Skip:
        ran.append(delivery.id)
        return Skip(delivery.id)

    slow = mapper(lambda _: gate.wait(), "acme:slow", timeout_seconds=TINY)
    also_slow = mapper(lambda _: gate.wait(), "acme:slow", source="other", timeout_seconds=TINY)
    items = [(entry(id="a"), mapper(note)), (entry(), slow), (entry(id="b"), mapper(note)), (entry(), also_slow)]
    late = "acme:slow took over 0.05 s; make it faster, or set the source's transform_timeout_seconds"
    assert told(await runner.run(items)) == ["a", late, "b", late]
    assert ran == ["a", "b"]


async def test_an_abandoned_thread_ends_after_its_transform(runner: Runner, gate: threading.Event) -> None:
    """A thread that was given up runs no further entry when its transform returns at last."""
    threads: list[threading.Thread] = []
    ran: list[str] = []

    def block(_: Delivery) -> None:
        threads.append(threading.current_thread())
        gate.wait()

    def note(delivery: Delivery) -> None:
        ran.append(delivery.id)

    await runner.run([(entry(), mapper(block, timeout_seconds=TINY)), (entry(id="b"), mapper(note))])
    gate.set()
    [thread] = threads
    await asyncio.to_thread(thread.join, AMPLE)
    assert not thread.is_alive()
    assert ran == ["b"]


async def test_time_is_per_transform_and_not_per_batch(runner: Runner) -> None:
    """Many entries may take longer together than one of them may."""
    limit = 0.5
    started = time.monotonic()

    def work(delivery: Delivery) -> Event:
        threading.Event().wait(0.02)
        return named(delivery)

    results = await runner.run([(entry(id=f"n{n}"), mapper(work, timeout_seconds=limit)) for n in range(40)])
    assert time.monotonic() - started > limit
    assert told(results) == [f"acme/n{n}" for n in range(40)]


async def test_async_transforms_have_a_time_too(runner: Runner) -> None:
    """An async transform or generator that waits too long is broken off, and the others are mapped."""
    broken_off: list[str] = []

    async def waits(delivery: Delivery) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            broken_off.append(delivery.id)

    async def yields(delivery: Delivery) -> AsyncIterator[Event]:
        yield named(delivery)
        await waits(delivery)

    async def gives_up(delivery: Delivery) -> Event:
        try:
            await waits(delivery)
        except asyncio.CancelledError:
            raise ValueError("interrupted") from None
        return named(delivery)

    items = [(entry(id=f.__name__), mapper(f, timeout_seconds=TINY)) for f in (waits, yields, gives_up)]
    results = told(await runner.run([*items, (entry(id="b"), mapper(named_later))]))
    assert [result.startswith("acme:transform took over 0.05 s") for result in results[:3]] == [True] * 3
    assert results[3] == "acme/b"
    assert sorted(broken_off) == ["gives_up", "waits", "yields"]


async def test_endless_generators_end(runner: Runner) -> None:
    """A generator without an end, async or not, is stopped at the limit of events."""

    def endless(delivery: Delivery) -> Iterator[Event]:
        while True:
            yield named(delivery)

    async def endless_async(delivery: Delivery) -> AsyncIterator[Event]:
        while True:
            yield named(delivery)

    for function in (endless, endless_async):
        said = await one(runner, mapper(function))
        assert said == "acme:transform returned more than 10000 events for one delivery; let it make fewer"


async def test_cancelling_a_run_gives_its_threads_up(runner: Runner, gate: threading.Event) -> None:
    """A run that is cancelled ends at once, whatever its transforms do, and starts no further entry."""
    entered = asyncio.Event()
    loop = asyncio.get_running_loop()
    ran: list[Entry] = []

    def block(_: Delivery) -> None:
        ran.append(entry())
        loop.call_soon_threadsafe(entered.set)
        gate.wait()

    async def waits(_: Delivery) -> None:
        await loop.create_future()

    items = [(entry(), mapper(block)), (entry(), mapper(block)), (entry(), mapper(waits))]
    task = asyncio.create_task(runner.run(items))
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(ran) == 1


async def test_closing_breaks_off_what_runs(gate: threading.Event) -> None:
    """Closing the runner cancels the runs under way and waits for no transform."""
    runner = Runner()
    entered = asyncio.Event()
    loop = asyncio.get_running_loop()

    def block(_: Delivery) -> None:
        loop.call_soon_threadsafe(entered.set)
        gate.wait()

    task = asyncio.create_task(runner.run([(entry(), mapper(block))]))
    await entered.wait()
    await runner.close()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_a_thread_that_outlives_the_loop_ends_quietly(gate: threading.Event) -> None:
    """A blocked thread whose loop is long closed ends without an error when its transform returns."""
    threads: list[threading.Thread] = []

    def block(_: Delivery) -> None:
        threads.append(threading.current_thread())
        gate.wait()

    asyncio.run(Runner().run([(entry(), mapper(block, timeout_seconds=TINY))]))
    gate.set()
    threads[0].join(AMPLE)
    assert not threads[0].is_alive()


async def test_a_transform_that_hangs_is_not_run_on_its_other_entries(runner: Runner, gate: threading.Event) -> None:
    """Once a source's transform has hung, its other entries of the batch are postponed, and other sources' are run."""
    hanging = mapper(lambda _: gate.wait(), source="slow", timeout_seconds=TINY)
    items = [
        (entry(), hanging),
        (entry(id="b"), hanging),
        (entry(id="c"), mapper(lambda _: Skip("run"))),
        (entry(id="d"), hanging),
    ]
    first, second, third, fourth = await runner.run(items)
    assert isinstance(first, TransformError)
    assert (second, third, fourth) == (Postponed("slow"), Skip("run"), Postponed("slow"))


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_each_run_is_told(runner: Runner, kind: str) -> None:
    """Whoever asks is told how long each transform ran, on which entry."""

    def quick(_: Delivery) -> None:
        time.sleep(TINY)

    async def quick_async(_: Delivery) -> None:
        await asyncio.sleep(TINY)

    function: Transform = quick if kind == "sync" else quick_async
    told: list[tuple[str, str, float]] = []
    items = [(entry(id=f"n{n}"), mapper(function, f"acme:{kind}")) for n in range(2)]
    await runner.run(items, ran=lambda one, by, seconds: told.append((one.delivery.id, by.reference, seconds)))
    assert sorted((name, reference) for name, reference, _ in told) == [("n0", f"acme:{kind}"), ("n1", f"acme:{kind}")]
    assert all(TINY / 2 < seconds < AMPLE for _, _, seconds in told)


async def test_a_run_that_is_given_up_is_told_with_all_its_time(runner: Runner, gate: threading.Event) -> None:
    """Of a transform that hangs, the time limit is told; of an entry that is then postponed, nothing."""
    told: list[tuple[str, float]] = []
    hangs = mapper(lambda _: gate.wait(AMPLE), timeout_seconds=TINY)
    results = await runner.run(
        [(entry(id="a"), hangs), (entry(id="b"), hangs)],
        ran=lambda one, _, seconds: told.append((one.delivery.id, seconds)),
    )
    assert told == [("a", TINY)]
    assert isinstance(results[1], Postponed)
