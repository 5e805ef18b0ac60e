"""The door to transforms: run them, sync ones in a thread and async ones on the loop, each within its time."""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from gateway.blame import raised, sentence
from gateway.errors import TransformError, TransformStarved
from gateway.find import load
from gateway.model import Delivery, Entry, Skip
from gateway.stamp import MAX_EVENTS, Mapper, Stamped, Transform, stamp
from gateway.threads import Crew

__all__ = ["Mapped", "Mapper", "Postponed", "Runner", "Stamped", "Transform", "load", "stamp"]


@dataclass(frozen=True, slots=True)
class Postponed:
    """The transform was not run, as it had just hung on another entry of the same source."""

    source: str


Mapped = Stamped | Skip | TransformError | Postponed
Item = tuple[Entry, Mapper]
Mapping = tuple[str, int]

MAX_ASYNC = 50
MAX_THREADS = 4


class Runner:
    """Runs transforms, whatever they do: a fault of theirs is a result, and one that hangs holds up no other for long.

    Several batches may run at once, so a transform may be called from several threads at the same time.
    """

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(MAX_ASYNC)
        self._crew = Crew(MAX_THREADS, "transform")
        self._batches: set[asyncio.Future[tuple[list[Mapped], list[Mapped]]]] = set()

    async def run(self, items: Sequence[Item]) -> list[Mapped]:
        """Return what became of each entry, in the order of `items`.

        Once a source's transform has hung, its other entries are postponed, so that a batch takes about as long as
        one of them hangs and not the sum.
        """
        hung: set[Mapping] = set()
        kinds = [is_async(mapper.function) for _, mapper in items]
        threaded = [item for item, on_loop in zip(items, kinds, strict=True) if not on_loop]
        awaited = [item for item, on_loop in zip(items, kinds, strict=True) if on_loop]
        batch = asyncio.gather(_run_threaded(threaded, hung, self._crew), self._run_awaited(awaited, hung))
        self._batches.add(batch)
        try:
            results = [iter(part) for part in await batch]
        finally:
            self._batches.discard(batch)
        return [next(results[on_loop]) for on_loop in kinds]

    async def close(self) -> None:
        """Break off what is under way, so that its `run` is cancelled; threads end after the transform they are in."""
        batches = list(self._batches)
        for batch in batches:
            batch.cancel()
        await asyncio.gather(*batches, return_exceptions=True)
        self._crew.dismiss()

    async def _run_awaited(self, items: Sequence[Item], hung: set[Mapping]) -> list[Mapped]:
        return list(await asyncio.gather(*(self._run_on_loop(entry, mapper, hung) for entry, mapper in items)))

    async def _run_on_loop(self, entry: Entry, mapper: Mapper, hung: set[Mapping]) -> Mapped:
        async with self._slots:
            if _mapping(mapper) in hung:
                return Postponed(mapper.source)
            scope = asyncio.timeout(mapper.timeout_seconds)
            try:
                async with scope:
                    outcome = await _await(mapper.function, entry.delivery)
                return stamp(entry, mapper, outcome)
            except BaseException as error:
                if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                    raise
                if not scope.expired():
                    return _failure(mapper, error)
                hung.add(_mapping(mapper))
                return _overdue(mapper)


class _Worker:
    """Works through items on one thread, until it is through or an item takes too long.

    A thread cannot be stopped from outside. One that hangs is abandoned: it ends after its item, if that ever ends,
    and what it made is dropped.
    """

    def __init__(self, items: Sequence[Item], hung: frozenset[Mapping]) -> None:
        self._items = items
        self._hung = hung
        self._results: list[Mapped] = []
        self._since: float | None = None  # until a thread is free
        self._abandoned = False
        self._lock = threading.Lock()
        self._loop = asyncio.get_running_loop()
        self._through = asyncio.Event()

    async def results(self, crew: Crew) -> list[Mapped]:
        """Return the results up to the end, or up to the first item that is overdue."""
        crew.put(self._work)
        try:
            while (left := self._seconds_left()) > 0:
                with suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await self._through.wait()
        finally:
            with self._lock:
                self._abandoned = True
        return self._results

    def _seconds_left(self) -> float:
        """Return what the current item has left, and abandon the thread in the same moment when that is nothing."""
        with self._lock:
            if len(self._results) == len(self._items):
                return 0
            _, mapper = self._items[len(self._results)]
            since = time.monotonic() if self._since is None else self._since
            left = since + mapper.timeout_seconds - time.monotonic()
            self._abandoned = left <= 0
            return left

    def _work(self) -> bool:
        """Tell whether the thread is still wanted."""
        with self._lock:
            if self._abandoned:
                return True
            self._since = time.monotonic()
        for entry, mapper in self._items:
            result = Postponed(mapper.source) if _mapping(mapper) in self._hung else _run(entry, mapper)
            with self._lock:
                if self._abandoned:
                    return False
                self._results.append(result)
                self._since = time.monotonic()
        with suppress(RuntimeError):  # the loop may be closed by now, and then nobody waits
            self._loop.call_soon_threadsafe(self._through.set)
        return True


async def _run_threaded(items: Sequence[Item], hung: set[Mapping], crew: Crew) -> list[Mapped]:
    """Run sync transforms one after the other in one thread; after one that hangs, go on in another thread."""
    results: list[Mapped] = []
    while len(results) < len(items):
        results += await _Worker(items[len(results) :], frozenset(hung)).results(crew)
        if len(results) < len(items):
            _, mapper = items[len(results)]
            hung.add(_mapping(mapper))
            results.append(_overdue(mapper))
            crew.replace()
    return results


def _run(entry: Entry, mapper: Mapper) -> Mapped:
    try:
        return stamp(entry, mapper, mapper.function(entry.delivery))
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, and none of it may stop us
        return _failure(mapper, error)


async def _await(function: Transform, delivery: Delivery) -> Any:
    outcome = function(delivery)
    return await (_collect(outcome) if inspect.isasyncgen(outcome) else outcome)


async def _collect(events: AsyncGenerator[Any, Any]) -> list[Any]:
    """Take the events of an async generator, and one over the limit from a generator that does not end."""
    collected = []
    async with aclosing(events):
        async for event in events:
            collected.append(event)
            if len(collected) > MAX_EVENTS:
                break
    return collected


def _mapping(mapper: Mapper) -> Mapping:
    """Return what tells a source's transform from others, also where the function cannot be hashed."""
    return mapper.source, id(mapper.function)


def _failure(mapper: Mapper, error: BaseException) -> TransformError:
    """Return the sentence alone: the exception's frames would keep the whole payload alive."""
    if isinstance(error, MemoryError):
        return TransformStarved(f"{mapper.reference} raised MemoryError; raise the process's limit of memory")
    if isinstance(error, TransformError):
        return TransformError(sentence(str(error)))
    return TransformError(raised(mapper.reference, error, mapper.package))


def _overdue(mapper: Mapper) -> TransformError:
    return TransformError(
        f"{mapper.reference} took over {mapper.timeout_seconds:g} s; make it faster, or set the source's "
        "transform_timeout_seconds"
    )


def _is_cancelled() -> bool:
    """Tell whether the gateway cancelled this task, as against user code that let a CancelledError out."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def is_async(function: Transform) -> bool:
    """Tell whether a transform is to run on the loop: a coroutine function, an async generator, or such a __call__."""
    return any(
        inspect.iscoroutinefunction(candidate) or inspect.isasyncgenfunction(candidate)
        for candidate in (function, type(function).__call__)
    )
