"""The worker processes of one source: each maps one entry at a time and is replaced when that goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from gateway import user_code
from gateway.applied import Mapped, Overdue, Postponed
from gateway.errors import TransformError
from gateway.isolation import frames
from gateway.isolation.process import Ended, Worker
from gateway.mapper import Isolation, Mapper
from gateway.model import Entry

TRIES = 2
UNSTARTED_MS = 2_000


class _Seat:
    """The place of one worker, in which another is started as soon as one is gone."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.coming = pool.task(pool.hire())

    async def worker(self) -> Worker:
        """Return the worker once it is ready. Raises TransformError where it cannot be started."""
        return await asyncio.shield(self.coming)

    def replace(self) -> None:
        """Kill the worker, if there is one, and start another."""
        gone = self.coming
        if not gone.done():
            gone.cancel()
        elif not gone.cancelled() and gone.exception() is None:
            self._pool.task(gone.result().kill())
        if not self._pool.closing:
            self.coming = self._pool.task(self._pool.hire())


class Pool:
    """Worker processes that run what was loaded when this was made. `users` counts who may still ask it."""

    def __init__(self, isolation: Isolation) -> None:
        self.users = 0
        self.retired = False
        self.closing = False
        self._isolation = isolation
        self._files = user_code.kept()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._seats = [_Seat(self) for _ in range(isolation.workers)]
        self._free: asyncio.LifoQueue[_Seat] = asyncio.LifoQueue()
        for seat in self._seats:
            self._free.put_nowait(seat)

    async def ready(self) -> None:
        """Wait until every worker has loaded its transforms. Raises TransformError where one cannot."""
        await asyncio.gather(*(seat.worker() for seat in self._seats))

    async def take(self) -> _Seat:
        """Wait for a free seat, which is to be put back."""
        return await self._free.get()

    def put_back(self, seat: _Seat) -> None:
        """Let others have the seat."""
        self._free.put_nowait(seat)

    async def run(self, seat: _Seat, entry: Entry, mapper: Mapper) -> Mapped:
        """Map an entry. Raises Overdue where the transform had to be killed at its time limit, as when cancelled.

        A worker that ended or found no memory may owe that to earlier entries, so a fresh one has a second try.
        """
        fault = ""
        for _ in range(TRIES):
            try:
                worker = await seat.worker()
            except TransformError as error:
                seat.replace()
                return Postponed(mapper.source, f"its worker process cannot be started: {error}", UNSTARTED_MS)
            try:
                async with asyncio.timeout(mapper.timeout_seconds):
                    return frames.read_answer(await worker.ask(frames.job(entry, mapper)))
            except TimeoutError:
                seat.replace()
                raise Overdue from None
            except frames.Starved:
                fault = f"used more than {self._isolation.memory_mb} MB; make it use less, or set the source's "
                fault += "transform_memory_mb"
            except Ended as ended:
                fault = f"had its worker process end, twice: it {ended}; find in the transform what ends it"
            except ValueError:
                fault = "wrote into the gateway's own pipe; leave file descriptors that it did not open alone"
            except BaseException:
                seat.replace()
                raise
            seat.replace()
        return TransformError(f"{mapper.reference} {fault}")

    async def close(self) -> None:
        """End every worker and wait until they are gone."""
        self.closing = True
        await asyncio.gather(*(self._dismiss(seat) for seat in self._seats))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def hire(self) -> Coroutine[Any, Any, Worker]:
        """Start a worker."""
        return Worker.start(self._isolation, self._files)

    def task(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something meanwhile that is over before this is closed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waits for the worker is told; where nobody does, nothing is lost

    async def _dismiss(self, seat: _Seat) -> None:
        seat.coming.cancel()
        try:
            worker = await seat.coming
        except (asyncio.CancelledError, TransformError):
            return
        await worker.dismiss()
