"""An event loop whose time passes only when everything waits: days go by in seconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

T = TypeVar("T")

PATIENCE_SECONDS = 20.0
LEAST_STEP = 1e-6  # a float of many seconds may swallow a smaller one, and then time would stand still


class VirtualLoop(asyncio.SelectorEventLoop):
    """Counts seconds from 0. Work in threads is real, and no time passes while `at_work`."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.working = 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        """Return the virtual seconds since the start."""
        return self.elapsed

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Let no time pass, because a thread is at work for this task."""
        self.working += 1
        try:
            yield
        finally:
            self.working -= 1


class _Selector(selectors.DefaultSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self._loop.working:
            ready = super().select(PATIENCE_SECONDS)
            if not ready:
                raise RuntimeError("a thread of the simulation does not come back")
            return ready
        if timeout is None:
            raise RuntimeError("everything in the simulation waits, and nothing is going to happen")
        self._loop.elapsed += max(timeout, LEAST_STEP)
        return []


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` on a virtual loop of its own; the end, which joins threads, is real time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        try:
            return runner.run(main)
        finally:
            cast("VirtualLoop", runner.get_loop()).working += 1


def running_loop() -> VirtualLoop:
    """Return the virtual loop that runs."""
    loop = asyncio.get_running_loop()
    if not isinstance(loop, VirtualLoop):
        raise TypeError("this runs on a virtual loop only")
    return loop


class VirtualClock:
    """The host's clock on a virtual loop: `now` is the true time, and the wall clock is `ahead` of it.

    A gateway with nothing to do looks for due entries twice a second. Days of that are no use, so waits of less than
    a second last `quiet_seconds` unless the event comes; retries are late by that much and nothing else changes.
    """

    def __init__(self, quiet_seconds: float, start: int = 1_700_000_000_000) -> None:
        self.ahead = 0
        self._quiet_seconds = quiet_seconds
        self._start = start

    def now(self) -> int:
        """Return the true time as unix milliseconds."""
        return self._start + int(asyncio.get_running_loop().time() * 1000)

    def wall(self) -> int:
        """Return unix milliseconds as the host tells them."""
        return self.now() + self.ahead

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; tell whether it is set."""
        try:
            async with asyncio.timeout(seconds if seconds >= 1 else self._quiet_seconds):
                await event.wait()
        except TimeoutError:
            return event.is_set()
        return True


class ProcessClock:
    """The clock of one process: it takes the host's wall clock as it starts, right or wrong, and goes on from there."""

    def __init__(self, host: VirtualClock) -> None:
        self._host = host
        self._ahead = host.ahead

    def now(self) -> int:
        """Return unix milliseconds that never jump while the process lives."""
        return self._host.now() + self._ahead

    def wall(self) -> int:
        """Return unix milliseconds as the host tells them."""
        return self._host.wall()

    def go_on_from(self, reached: int) -> None:
        """Let `now` go on from `reached` where it has not come that far."""
        self._ahead += max(0, reached - self.now())

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; tell whether it is set."""
        return await self._host.wait(event, seconds)
