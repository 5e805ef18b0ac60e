"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio


class ManualClock:
    """`wall` and `now` are the same and change by `advance` alone; who waits is woken by it."""

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self._now = now
        self._timers: list[tuple[int, asyncio.Future[None]]] = []

    def wall(self) -> int:
        """Return unix milliseconds."""
        return self._now

    def now(self) -> int:
        """Return unix milliseconds."""
        return self._now

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until `event` is set or the clock was moved by `seconds`."""
        timer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._timers.append((self._now + int(seconds * 1000), timer))
        waiter = asyncio.ensure_future(_set(event))
        try:
            await asyncio.wait({waiter, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
        return event.is_set()

    def advance(self, milliseconds: int) -> None:
        """Move the clock."""
        self._now += milliseconds
        due = [timer for at, timer in self._timers if at <= self._now]
        self._timers = [(at, timer) for at, timer in self._timers if at > self._now]
        for timer in due:
            if not timer.done():
                timer.set_result(None)


async def _set(event: asyncio.Event) -> None:
    await event.wait()
