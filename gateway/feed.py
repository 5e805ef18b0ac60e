"""What happens, told at once to whoever follows: how requests were answered, and what became of deliveries.

Nobody waits for a follower: what one is too slow for is counted and dropped. Without followers it costs nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from gateway.model import Delivery, Lease, Settlement

MOST_WAITING = 2_000
# Both halves of a delivery's life: how its request was answered, and what became of it after that.
OUTCOMES = (
    *("accepted", "duplicate", "handshake", "rejected", "unavailable", "error"),
    *("pending", "forwarded", "skipped", "dead"),
)
DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Happening:
    """One answer to a request, or one settlement: `outcome` is how it ended. `at` is unix milliseconds.

    `ms` is how long the request took, or how long after its receipt the delivery was settled. `events` are the names
    of what was sent, and `attempt` numbers the try.
    """

    at: int
    source: str
    outcome: str
    delivery_id: str = ""
    type: str = ""
    status: int | None = None
    reason: str = ""
    ms: float = 0
    attempt: int | None = None
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a follower wants to be told of; what is empty means everything."""

    source: str = ""
    type: str = ""
    outcomes: frozenset[str] = frozenset()

    def includes(self, happening: Happening) -> bool:
        """Tell whether it is wanted."""
        return (
            self.source in {"", happening.source}
            and self.type in {"", happening.type}
            and (not self.outcomes or happening.outcome in self.outcomes)
        )


class Follower:
    """One who follows. `dropped` counts what was wanted and found no place, and is for the follower to set back."""

    def __init__(self, wanted: Wanted) -> None:
        self.dropped = 0
        self._wanted = wanted
        self._waiting: deque[Happening] = deque()
        self._told = asyncio.Event()
        self._over = False

    def tell(self, happening: Happening) -> None:
        """Take a happening where it is wanted and there is room; at once."""
        if not self._wanted.includes(happening):
            return
        if len(self._waiting) < MOST_WAITING:
            self._waiting.append(happening)
        else:
            self.dropped += 1
        self._told.set()

    def end(self) -> None:
        """Say that nothing more comes."""
        self._over = True
        self._told.set()

    async def next(self, seconds: float) -> list[Happening] | None:
        """Return what has happened since, which is nothing when so many seconds passed without; None at the end."""
        if not self._waiting and not self._over:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._told.wait()
        self._told.clear()
        happened = list(self._waiting)
        self._waiting.clear()
        return happened if happened or not self._over else None


class Feed:
    """Tells followers what happens; `wall` tells the time (unix ms). To be used on one loop."""

    def __init__(self, wall: Callable[[], int]) -> None:
        self._wall = wall
        self._followers: set[Follower] = set()
        self._closed = False

    @property
    def is_followed(self) -> bool:
        """Whether anybody follows."""
        return bool(self._followers)

    def close(self) -> None:
        """End every follower's, and let nobody follow any more."""
        self._closed = True
        for follower in self._followers:
            follower.end()

    @contextmanager
    def follow(self, wanted: Wanted) -> Iterator[Follower]:
        """Follow for the time of the block."""
        follower = Follower(wanted)
        if self._closed:
            follower.end()
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    def answered(
        self, source: str, outcome: str, status: int, *, reason: str, seconds: float, delivery: Delivery | None
    ) -> None:
        """Tell of an answer to a request."""
        if self._followers:
            identifier, kind = (delivery.id, delivery.type) if delivery else ("", "")
            ms = round(seconds * 1000, 3)
            self._tell(Happening(self._wall(), source, outcome, identifier, kind, status, reason, ms))

    def settled(self, lease: Lease, settlement: Settlement) -> None:
        """Tell what became of a delivery, or that it waits again."""
        if not self._followers:
            return
        delivery, attempt, now = lease.entry.delivery, settlement.attempt, self._wall()
        happening = Happening(
            now,
            delivery.source,
            settlement.state.value,
            delivery.id,
            delivery.type,
            attempt.status if attempt else None,
            settlement.reason,
            now - delivery.received_at,
            attempt.number if attempt else None,
            tuple(event.name for event in settlement.events),
        )
        self._tell(happening)

    def _tell(self, happening: Happening) -> None:
        for follower in self._followers:
            follower.tell(happening)
