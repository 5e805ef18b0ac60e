"""What the local event API keeps: the events, and which of them would start a run."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.dev.event_api_rules import InboundEvent
from gateway.dev.event_ids import RANDOM_BYTES, seeded, ulid
from gateway.dev.kept import Kept

DEDUPE_MS = 24 * 3_600_000

# A duplicate may arrive long after the first event has left the bounded list, so ids are remembered for longer.
_IDS_PER_EVENT = 20


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event that was accepted.

    `internal_id` is what the event API answered; `id` is the sender's, or the internal one where it sent none. Times
    are unix milliseconds. `data` holds numbers as float64 does, `raw` the event's bytes as received. `request` is the
    number of the request that brought it. `starts_run` is false for an id seen in the 24 hours before.
    """

    internal_id: str
    name: str
    id: str
    ts: int
    v: str
    data: dict[str, Any] | None
    raw: bytes
    request: int
    received_at: int
    starts_run: bool


class EventStore:
    """Keeps events in order of arrival; every one is kept, since it is only the starting of a run that dedupes."""

    def __init__(self, clock: Callable[[], int], limit: int, limit_bytes: int) -> None:
        self._clock = clock
        self._events: Kept[StoredEvent] = Kept(limit, limit_bytes)
        self._started: dict[str, int] = {}
        self._most_ids = limit * _IDS_PER_EVENT

    @property
    def total(self) -> int:
        """How many events were ever accepted, those forgotten since included."""
        return self._events.total

    def all(self) -> list[StoredEvent]:
        """Return the events kept, oldest first."""
        return self._events.items()

    def add(self, event: InboundEvent, *, seed: str, index: int, request: int) -> StoredEvent:
        """Keep an event, the `index`-th (from 1) of its request, and return it as it is kept."""
        now = self._clock()
        internal_id = seeded(seed, index) or ulid(now, secrets.token_bytes(RANDOM_BYTES))
        event_id = event.id or internal_id
        stored = StoredEvent(
            internal_id=internal_id,
            name=event.name,
            id=event_id,
            ts=event.ts,
            v=event.v,
            data=event.data,
            raw=event.raw,
            request=request,
            received_at=now,
            starts_run=self._starts_run(event_id, now),
        )
        self._events.append(stored, len(event.raw))
        return stored

    def _starts_run(self, event_id: str, now: int) -> bool:
        """Say whether the id is new; the 24 hours count from the first event, and duplicates do not prolong them."""
        first = self._started.get(event_id)
        if first is not None and now < first + DEDUPE_MS:
            return False
        self._started.pop(event_id, None)
        self._started[event_id] = now
        if len(self._started) > self._most_ids:
            del self._started[next(iter(self._started))]
        return True
