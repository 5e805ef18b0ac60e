"""Run a source's async transforms on a loop of their own, so that one that never yields blocks no other's."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from typing import Any

from gateway.applied import Mapped, Overdue, failure, outcome
from gateway.mapper import Mapper
from gateway.model import Entry
from gateway.stamp import stamp
from gateway.threads import Interrupted, interrupt

# How much longer than its time limit a transform may take to be broken off, before its loop is taken for blocked.
MARGIN_SECONDS = 0.5


class Blocked(Exception):
    """The loop does nothing else any more, which is or is not this entry's doing."""

    def __init__(self, *, at_fault: bool) -> None:
        super().__init__()
        self.at_fault = at_fault


class _Run:
    """One entry on its way."""

    def __init__(self) -> None:
        self.task: asyncio.Task[Mapped] | None = None


class TransformLoop:
    """A loop in a daemon thread."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._moved_at = time.monotonic()
        self._runs: set[_Run] = set()
        self._at_fault: set[Any] | None = None
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    async def run(self, entry: Entry, mapper: Mapper, seconds: float) -> Mapped:
        """Map an entry. Raises Overdue after so many seconds, and Blocked, after which the loop is of no use."""
        run = _Run()
        asked_at = time.monotonic()
        asked = asyncio.run_coroutine_threadsafe(self._map(run, entry, mapper, seconds), self._loop)
        future = asyncio.wrap_future(asked)
        try:
            while not future.done() and self._at_fault is None:
                left = max(asked_at, self._moved_at) + seconds + MARGIN_SECONDS - time.monotonic()
                if left <= 0:
                    self._give_up()
                else:
                    await asyncio.wait([future], timeout=left)
        except asyncio.CancelledError:
            future.cancel()
            raise
        if self._at_fault is not None:  # whatever came of it, as it is interrupted from then on
            raise Blocked(at_fault=run.task in self._at_fault)
        return future.result()

    def dismiss(self) -> None:
        """End the loop, and interrupt what blocks it where that works."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._over.set)
        blocked = (
            time.monotonic() - self._moved_at > MARGIN_SECONDS and asyncio.current_task(self._loop) in self._tasks()
        )
        if blocked:
            interrupt(self._thread, asyncio.get_running_loop())

    async def _map(self, run: _Run, entry: Entry, mapper: Mapper, seconds: float) -> Mapped:
        run.task = asyncio.current_task()
        self._runs.add(run)
        self._moved_at = time.monotonic()
        scope = asyncio.timeout(seconds)
        try:
            async with scope:
                made = await outcome(entry, mapper)
            return stamp(entry, mapper, made)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and _is_cancelled():
                raise
            if scope.expired():
                raise Overdue from None
            return failure(mapper, error)
        finally:
            self._runs.discard(run)
            self._moved_at = time.monotonic()

    def _give_up(self) -> None:
        """Find the task that blocks the loop; where it is none that we know, any may have started it."""
        tasks, blocking = self._tasks(), asyncio.current_task(self._loop)
        self._at_fault = {blocking} & tasks or tasks

    def _tasks(self) -> set[Any]:
        return {run.task for run in list(self._runs) if run.task}

    def _serve(self) -> None:
        with suppress(Interrupted), asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._wait())

    async def _wait(self) -> None:
        await self._over.wait()


def _is_cancelled() -> bool:
    """Tell whether the gateway cancelled this task, as against user code that let a CancelledError out."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
