"""Run sync transforms one after the other in a thread that is given up when one takes too long."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from gateway.applied import Mapped, Postponed, apply, given_up
from gateway.mapper import Mapper
from gateway.model import Entry
from gateway.threads import Crew, interrupt

# How many times what a source may take for one entry it may take for all of them, where others wait for it.
TOGETHER = 10

Item = tuple[Entry, Mapper]
MappingKey = tuple[str, int]
Ran = Callable[[Entry, Mapper, float], None]
"""Told, from any thread, for how many seconds a transform ran on an entry, to its end or until it was given up."""


def untold(_entry: Entry, _mapper: Mapper, _seconds: float) -> None:
    """Tell nobody of a run."""


async def run(
    items: Sequence[Item], hung: set[MappingKey], crew: Crew, patience: float = math.inf, ran: Ran = untold
) -> list[Mapped]:
    """Return what became of each item; after one that hangs, go on in another thread, without that transform.

    Raises nothing but what cancels it.
    """
    results: list[Mapped] = []
    spent: dict[str, float] = {}
    while len(results) < len(items):
        results += await _Stint(items[len(results) :], frozenset(hung), spent, patience, ran).results(crew)
        if len(results) < len(items):
            entry, mapper = items[len(results)]
            hung.add(hung_key(mapper, patience))
            seconds = min(mapper.timeout_seconds, patience)
            results.append(given_up(mapper, seconds))
            ran(entry, mapper, seconds)
            crew.replace()
    return results


def hung_key(mapper: Mapper, patience: float) -> MappingKey:
    """Return what is left alone in a batch once it hung: all of the source where others wait, else that transform.

    A transform is told by its `id`, as a function need not be hashable.
    """
    return mapper.source, id(mapper.function) if patience == math.inf else 0


class _Stint:
    """Works through items on one thread, until it is through or an item takes too long.

    A thread cannot be stopped from outside. One that hangs is abandoned: its transform is interrupted where that works,
    and what it makes is dropped.
    """

    def __init__(
        self, items: Sequence[Item], hung: frozenset[MappingKey], spent: dict[str, float], patience: float, ran: Ran
    ) -> None:
        self._items = items
        self._hung = hung
        self._spent = spent
        self._patience = patience
        self._ran = ran
        self._shortest = min(mapper.timeout_seconds for _, mapper in items)
        self._results: list[Mapped] = []
        self._since: float | None = None  # until a thread is free
        self._thread: threading.Thread | None = None
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
                    async with asyncio.timeout(min(left, self._shortest)):
                        await self._through.wait()
        finally:
            self._abandon()
        return self._results

    def _seconds_left(self) -> float:
        """Return what the current item has left, and abandon the thread in the same moment when that is nothing."""
        with self._lock:
            if len(self._results) == len(self._items):
                return 0
            _, mapper = self._items[len(self._results)]
            since = time.monotonic() if self._since is None else self._since
            left = since + min(mapper.timeout_seconds, self._patience) - time.monotonic()
            self._abandoned = left <= 0
            return left

    def _abandon(self) -> None:
        with self._lock:
            self._abandoned = True
            if self._thread is not None and len(self._results) < len(self._items):
                interrupt(self._thread, self._loop)  # under the lock: it might be at other work by now

    def _work(self) -> bool:
        """Tell whether the thread is still wanted."""
        with self._lock:
            if self._abandoned:
                return True
            since = self._since = time.monotonic()
            self._thread = threading.current_thread()
        spent, most = self._spent, self._patience * TOGETHER
        for entry, mapper in self._items:
            taken = spent.get(mapper.source, 0.0)
            hung = taken > most or (bool(self._hung) and hung_key(mapper, self._patience) in self._hung)
            result = Postponed(mapper.source) if hung else apply(entry, mapper)
            with self._lock:
                if self._abandoned:
                    return False
                until = time.monotonic()
                if not isinstance(result, Postponed):
                    self._ran(entry, mapper, until - since)
                self._results.append(result)
                spent[mapper.source] = taken + until - since
                since = self._since = until
        with suppress(RuntimeError):  # the loop may be closed by now, and then nobody waits
            self._loop.call_soon_threadsafe(self._through.set)
        return True
