"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio


class ManualClock:
    """`advance` moves both readings and wakes who waits; `jump` moves the wall clock alone, as an operator does."""

    def __init__(self, now: int = 1_700_000_000_000) -> None:
        self._now = now
        self._wall_is_ahead = 0
        self._timers: list[tuple[int, asyncio.Future[None]]] = []

    def wall(self) -> int:
        """Return unix milliseconds as the host tells them."""
        return self._now + self._wall_is_ahead

    def now(self) -> int:
        """Return unix milliseconds that never jump."""
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
        """Let time pass."""
        self._now += milliseconds
        due = [timer for at, timer in self._timers if at <= self._now]
        self._timers = [(at, timer) for at, timer in self._timers if at > self._now]
        for timer in due:
            if not timer.done():
                timer.set_result(None)

    def go_on_from(self, reached: int) -> None:
        """Let `now` go on from `reached` where it has not come that far; the wall clock stays."""
        ahead = max(0, reached - self._now)
        self._now += ahead
        self._wall_is_ahead -= ahead

    def jump(self, milliseconds: int) -> None:
        """Set the wall clock forward, or back; no time passes and nobody is woken."""
        self._wall_is_ahead += milliseconds


async def _set(event: asyncio.Event) -> None:
    await event.wait()
