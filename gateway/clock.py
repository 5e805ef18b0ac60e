"""The clock, passed in wherever time matters, so that tests own it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Protocol

_ALARM_MS = 300_000
_HOUR_MS = 3_600_000


class Clock(Protocol):
    """Two readings of time, and waiting."""

    def wall(self) -> int:
        """Return unix milliseconds as the host tells them; only for signature windows and display."""
        ...

    def now(self) -> int:
        """Return unix milliseconds that never jump: for leases, due times and durations."""
        ...

    def go_on_from(self, reached: int) -> None:
        """Let `now` go on from `reached` (unix ms) where it has not come that far."""
        ...

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; tell whether it is set."""
        ...


class SystemClock:
    """The host's clock; `now` is the wall time at start, or a later one to go on from, and then monotonic."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()
        self._followed: Callable[[], int] | None = None

    def wall(self) -> int:
        """Return unix milliseconds as the host tells them."""
        return int(time.time() * 1000)

    def now(self) -> int:
        """Return unix milliseconds that never jump."""
        return self._followed() if self._followed else int((time.monotonic() + self._offset) * 1000)

    def follow(self, told: Callable[[], int]) -> None:
        """Let `now` be what `told` says from here on: the time of a store that several gateways share."""
        self._followed = told

    def go_on_from(self, reached: int) -> None:
        """Let `now` go on from `reached` where it has not come that far."""
        self._offset += max(0, reached - self.now()) / 1000

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait until `event` is set or `seconds` have passed; tell whether it is set."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
        return event.is_set()


def go_on(clock: Clock, reached: int) -> tuple[str, ...]:
    """Let a clock go on from the time that an inbox has reached; return what the operator must know of the host's."""
    behind = reached - clock.now()
    clock.go_on_from(reached)
    if behind < _ALARM_MS:
        return ()
    alarm = (
        f"the host's clock is {behind / _HOUR_MS:.1f} hours behind the time at which the inbox was last used: it is "
        "slow now or was fast then, so check it, as signatures are held against it. Retries, and the times for which "
        "ids and bodies are kept, go on from the later time: nothing is held up or forgotten early"
    )
    return (alarm,)
