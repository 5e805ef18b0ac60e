"""The clock, passed in wherever time matters, so that tests own it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Protocol


class Clock(Protocol):
    """Two readings of time, and waiting."""

    def wall(self) -> int:
        """Return unix milliseconds as the host tells them; only for signature windows and display."""
        ...

    def now(self) -> int:
        """Return unix milliseconds that never jump: for leases, due times and durations."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; tell whether it is set."""
        ...


class SystemClock:
    """The host's clock; `now` is the wall time at start, carried on by the monotonic clock."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def wall(self) -> int:
        """Return unix milliseconds as the host tells them."""
        return int(time.time() * 1000)

    def now(self) -> int:
        """Return unix milliseconds that never jump."""
        return int((time.monotonic() + self._offset) * 1000)

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; tell whether it is set."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        return event.is_set()
