"""The door to transforms: run them in threads, on loops or in worker processes, each within its time."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

from gateway import threaded
from gateway.applied import Mapped, Overdue, Postponed, apply, given_up
from gateway.find import load
from gateway.isolation.pool import Pool
from gateway.looped import Blocked, TransformLoop
from gateway.mapper import Isolation, Mapper
from gateway.model import Entry
from gateway.stamp import Stamped, Transform, stamp
from gateway.threaded import TOGETHER, Item, MappingKey, Ran, hung_key, untold
from gateway.threads import Crew

__all__ = ["Mapped", "Mapper", "Postponed", "Runner", "Stamped", "Transform", "load", "stamp"]

MAX_ASYNC = 50
MAX_THREADS = 4
# Transforms that we ship are neither async nor slow, and cost less than handing them to a thread and back does, as long
# as there is not much to read: of so many bytes a millisecond.
AT_ONCE_BYTES = 262_144

Results = list[tuple[int, Mapped]]


class Runner:
    """Runs transforms, whatever they do: a fault of theirs is a result, and one that hangs holds up no other for long.

    Several batches may run at once, so a transform may be called from several threads at the same time.
    """

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(MAX_ASYNC)
        self._crew = Crew(MAX_THREADS, "transform")
        self._loops: dict[str, TransformLoop] = {}
        self._pools: dict[Isolation, Pool] = {}
        self._batches: set[asyncio.Future[Any]] = set()
        self._ends: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Be used and then closed."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close."""
        await self.close()

    async def prepare(self, mappers: Iterable[Mapper]) -> None:
        """Start the worker processes that mappers need beforehand. Raises TransformError where one cannot be made."""
        isolations = {mapper.isolation for mapper in mappers if mapper.isolation}
        made = {isolation: Pool(isolation) for isolation in isolations if isolation not in self._pools}
        try:
            await asyncio.gather(*(pool.ready() for pool in made.values()))
        except BaseException:
            await asyncio.gather(*(pool.close() for pool in made.values()))
            raise
        self._pools |= made

    def keep(self, mappers: Iterable[Mapper]) -> None:
        """End the worker processes that these mappers do not need, once nothing under way needs them either."""
        needed = {mapper.isolation for mapper in mappers}
        for isolation in self._pools.keys() - needed:
            pool = self._pools[isolation]
            pool.retired = True
            self._end_unused(pool)
        self._pools = {key: pool for key, pool in self._pools.items() if key in needed}

    async def run(self, items: Sequence[Item], patience: float = math.inf, ran: Ran = untold) -> list[Mapped]:
        """Return what became of each entry, in the order of `items`; `ran` is told of each run.

        Once a source's transform has hung, its other entries are postponed, so that a batch takes about as long as
        one of them hangs and not the sum. One that takes longer than our patience (seconds) has hung without a fault:
        it is postponed as well, to be run with all of its time where nobody waits for it. So are the others of a source
        once they took ten times as long together.
        """
        chosen = [(entry, mapper.chosen(entry.delivery.type) if mapper.routes else mapper) for entry, mapper in items]
        different = {id(mapper): mapper for _, mapper in chosen}.values()
        if all(mapper.shipped for mapper in different) and _is_little(chosen):
            return [_here(entry, mapper, ran) for entry, mapper in chosen]
        if not any(mapper.isolation or mapper.runs_async for mapper in different):
            return await self._all_threaded(chosen, patience, ran)
        await self.prepare(different)
        pools = {mapper.isolation: self._pools[mapper.isolation] for _, mapper in chosen if mapper.isolation}
        for pool in pools.values():
            pool.users += 1
        batch = asyncio.gather(*self._parts(chosen, pools, patience, ran))
        self._batches.add(batch)
        try:
            results = dict(pair for part in await batch for pair in part)
        finally:
            self._batches.discard(batch)
            for pool in pools.values():
                pool.users -= 1
                self._end_unused(pool)
        return [results[index] for index in range(len(chosen))]

    async def _all_threaded(self, items: Sequence[Item], patience: float, ran: Ran) -> list[Mapped]:
        """Run sync transforms, which is what nearly all are."""
        batch = asyncio.ensure_future(threaded.run(items, set(), self._crew, patience, ran))
        self._batches.add(batch)
        try:
            return await batch
        finally:
            self._batches.discard(batch)

    async def close(self) -> None:
        """Break off what is under way, so that its `run` is cancelled, and end the worker processes.

        Threads end after the transform they are in.
        """
        batches = list(self._batches)
        for batch in batches:
            batch.cancel()
        await asyncio.gather(*batches, return_exceptions=True)
        self._crew.dismiss()
        for loop in self._loops.values():
            loop.dismiss()
        await asyncio.gather(*(pool.close() for pool in self._pools.values()), *self._ends)

    def _parts(
        self, items: Sequence[Item], pools: Mapping[Isolation, Pool], patience: float, ran: Ran
    ) -> Iterable[asyncio.Future[Results]]:
        """Start each item where it belongs."""
        hung: set[MappingKey] = set()
        shared: list[tuple[int, Item]] = []
        parts = []
        for index, (entry, mapper) in enumerate(items):
            if mapper.isolation:
                parts.append(
                    _isolated(index, (entry, mapper), pools[mapper.isolation], hung, patience=patience, ran=ran)
                )
            elif mapper.runs_async:
                parts.append(self._looped(index, (entry, mapper), hung, patience, ran))
            else:
                shared.append((index, (entry, mapper)))
        parts.append(self._threaded(shared, hung, patience, ran))
        return [asyncio.ensure_future(part) for part in parts]

    async def _threaded(
        self, items: Sequence[tuple[int, Item]], hung: set[MappingKey], patience: float, ran: Ran
    ) -> Results:
        results = await threaded.run([item for _, item in items], hung, self._crew, patience, ran)
        return [(index, result) for (index, _), result in zip(items, results, strict=True)]

    async def _looped(self, index: int, item: Item, hung: set[MappingKey], patience: float, ran: Ran) -> Results:
        entry, mapper = item
        async with self._slots:
            if hung_key(mapper, patience) in hung:
                return [(index, Postponed(mapper.source))]
            if (loop := self._loops.get(mapper.source)) is None:
                loop = self._loops[mapper.source] = TransformLoop(f"transform {mapper.source}")
            seconds, begun = min(mapper.timeout_seconds, patience), time.monotonic()
            try:
                return [(index, await loop.run(entry, mapper, seconds))]
            except Overdue:
                result = given_up(mapper, seconds)
            except Blocked as blocked:
                result = given_up(mapper, seconds) if blocked.at_fault else Postponed(mapper.source)
                if self._loops.get(mapper.source) is loop:
                    self._loops.pop(mapper.source).dismiss()
            finally:
                ran(entry, mapper, time.monotonic() - begun)
            hung.add(hung_key(mapper, patience))
            return [(index, result)]

    def _end_unused(self, pool: Pool) -> None:
        if pool.retired and not pool.users and not pool.closing:
            task = asyncio.create_task(pool.close())
            self._ends.add(task)
            task.add_done_callback(self._ends.discard)


async def _isolated(index: int, item: Item, pool: Pool, hung: set[MappingKey], *, patience: float, ran: Ran) -> Results:
    """Map an entry in a worker process; our patience covers the start of one that takes the place of a dead one."""
    entry, mapper = item
    key = hung_key(mapper, patience)
    try:
        async with _at_most(patience * TOGETHER):
            seat = await pool.take()
        try:
            if key in hung:
                return [(index, Postponed(mapper.source))]
            begun = time.monotonic()
            async with _at_most(patience):
                result = await pool.run(seat, entry, mapper)
            ran(entry, mapper, time.monotonic() - begun)
        finally:
            pool.put_back(seat)
    except Overdue:
        result = given_up(mapper, mapper.timeout_seconds)
        ran(entry, mapper, mapper.timeout_seconds)
        hung.add(key)
    except TimeoutError:
        result = Postponed(mapper.source)
    if isinstance(result, Postponed):
        hung.add(key)
    return [(index, result)]


def _is_little(items: Sequence[Item]) -> bool:
    return sum([len(entry.delivery.content) for entry, _ in items]) <= AT_ONCE_BYTES


def _here(entry: Entry, mapper: Mapper, ran: Ran) -> Mapped:
    """Run a transform on the thread of the loop."""
    begun = time.monotonic()
    result = apply(entry, mapper)
    ran(entry, mapper, time.monotonic() - begun)
    return result


def _at_most(seconds: float) -> asyncio.Timeout:
    return asyncio.timeout(None if seconds == math.inf else seconds)
