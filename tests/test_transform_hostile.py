"""Transforms that block, compute without end or return no event: each is a reason, and no other waits for it."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from gateway import Delivery, Skip, threads
from gateway.errors import TransformError
from gateway.mapper import by_specificity
from gateway.transform import Mapped, Postponed, Runner, load
from tests.hostile import FAULTS, HANGS, LATE, MODULE
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
def no_garbage_collector() -> Iterator[None]:
    """Let no interruption be lost but those that the test loses."""
    gc.disable()
    yield
    gc.enable()


def skips(delivery: Delivery) -> Skip:
    """Tell that it ran."""
    return Skip(delivery.id)


async def skips_later(delivery: Delivery) -> Skip:
    """Tell that it ran, after a turn of the loop."""
    await asyncio.sleep(0)
    return skips(delivery)


async def test_hostile_transforms_in_threads(runner: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever blocks, computes without end or returns no event is a reason, and all others of the batch are mapped."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "hostile.py").write_text(MODULE)
    items = []
    faults = dict.fromkeys(HANGS, LATE) | FAULTS
    for name in faults:
        reference = f"./hostile.py:{name}"
        seconds = 0.3 if name in HANGS else AMPLE
        hostile = mapper(load(reference, tmp_path), reference, source=name, timeout_seconds=seconds)
        items += [(entry(id=name), hostile), (entry(id=f"after {name}"), mapper(skips))]
    results: list[Mapped] = await runner.run(items)
    for result, (name, sentence) in zip(results[::2], faults.items(), strict=True):
        assert str(result).startswith(f"./hostile.py:{name} {sentence}")
    assert results[1::2] == [Skip(f"after {name}") for name in faults]


@pytest.mark.usefixtures("no_garbage_collector")
async def test_endless_computing_is_interrupted(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop without an end is ended in its thread once it was given up, sync or async, and takes no processor on.

    That is tried again where it was lost, as in a call of the garbage collector's.
    """
    monkeypatch.setattr(threads, "AGAIN_SECONDS", 1.0)
    running: list[threading.Thread] = []

    def computes(_: Delivery) -> None:
        running.append(threading.current_thread())
        while True:
            pass

    async def computes_async(delivery: Delivery) -> None:
        computes(delivery)

    def loses_it(delivery: Delivery) -> None:
        for _ in range(2):
            with suppress(BaseException):
                computes(delivery)
        computes(delivery)

    for function in (computes, computes_async, loses_it):
        await runner.run([(entry(), mapper(function, timeout_seconds=TINY))])
    for thread in running:
        await asyncio.to_thread(thread.join, AMPLE)
        assert not thread.is_alive()


async def test_only_what_blocks_the_loop_is_at_fault(runner: Runner) -> None:
    """Of a source's async transforms under way, the one that blocks their loop is at fault and the others postponed."""
    entered = asyncio.Event()
    loop = asyncio.get_running_loop()

    async def waits(delivery: Delivery) -> Skip:
        if delivery.id == "blocks":
            loop.call_soon_threadsafe(entered.set)
            while True:
                pass
        await asyncio.sleep(0.01)
        return skips(delivery)

    chosen = mapper(waits, timeout_seconds=0.3)
    other = mapper(skips_later, source="other")
    items = [(entry(id="a"), chosen), (entry(id="blocks"), chosen), (entry(id="b"), chosen), (entry(id="c"), other)]
    first, blocking, second, apart = await runner.run(items)
    assert (first, second) == (Postponed("acme"), Postponed("acme"))
    assert isinstance(blocking, TransformError)
    assert apart == Skip("c")
    assert await runner.run([(entry(id="b"), chosen)]) == [Skip("b")]


async def test_impatience_is_no_fault(runner: Runner) -> None:
    """What takes longer than the caller's patience and less than its own time is postponed, sync or async."""
    gate = threading.Event()

    async def waits(_: Delivery) -> None:
        await asyncio.get_running_loop().create_future()

    items = [
        (entry(), mapper(lambda _: gate.wait(AMPLE), source="slow")),
        (entry(), mapper(waits, source="waits")),
        (entry(id="b"), mapper(skips)),
    ]
    slow, waiting, quick = await runner.run(items, patience=TINY)
    gate.set()
    assert (slow, waiting) == (Postponed("slow"), Postponed("waits"))
    assert quick == Skip("b")


async def test_many_that_are_a_little_slow(runner: Runner) -> None:
    """A source whose entries take long together leaves the others waiting no longer than for ten of the slowest."""
    slow = mapper(lambda _: time.sleep(TINY / 5), source="slow")
    items = [*((entry(id=str(n)), slow) for n in range(100)), (entry(id="b"), mapper(skips))]
    *results, quick = await runner.run(items, patience=TINY)
    assert quick == Skip("b")
    assert results[-1] == Postponed("slow")
    assert Postponed("slow") not in await runner.run(items)


async def test_one_that_hangs_speaks_for_its_source_in_company(runner: Runner) -> None:
    """Where others wait, a source's other transforms are postponed too once one of them hung; by itself they run."""
    gate = threading.Event()
    slow = mapper(lambda _: gate.wait(AMPLE), timeout_seconds=TINY)
    items = [(entry(), slow), (entry(id="n"), mapper(skips)), (entry(id="b"), mapper(skips, source="other"))]
    hung, other, stranger = await runner.run(items, patience=AMPLE)
    alone = await runner.run(items)
    gate.set()
    assert isinstance(hung, TransformError)
    assert (other, stranger) == (Postponed("acme"), Skip("b"))
    assert alone[1:] == [Skip("n"), Skip("b")]


def test_types_choose_their_transform() -> None:
    """The very type comes first, then the pattern with most other characters, then fewest wildcards, then the order."""
    patterns = ["*", "invoice.*", "*.paid", "in*.paid", "invoice.paid", "a[*]", "charge.?", "charge.*", "in*ic?.*"]
    made = mapper(reference="default")
    chosen = replace(made, routes=tuple((p, replace(made, reference=p)) for p in by_specificity(patterns[1:])))
    for kind, expected in {
        "invoice.paid": "invoice.paid",
        "invoice.sent": "invoice.*",
        "inquiry.paid": "in*.paid",
        "order.paid": "*.paid",
        "charge.x": "charge.?",
        "charge.xx": "charge.*",
        "Invoice.sent": "default",
        "a[*]": "a[*]",
        "": "default",
    }.items():
        assert chosen.chosen(kind).reference == expected, kind
    assert replace(made, routes=(("*", replace(made, reference="*")),)).chosen("").reference == "*"
