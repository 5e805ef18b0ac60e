"""Batches: which entries' events go into one request, and how an unsettled one is kept to be sent again. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gateway import payload
from gateway.model import Frozen, Lease, SentEvent, Settlement, StampedEvent, TransformRun
from gateway.value import value

Settled = list[tuple[Lease, Settlement]]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may hold; `event_bytes` is the most that one event may have."""

    request_bytes: int
    event_bytes: int
    events: int


@value
class Member:
    """A leased entry, the events it makes, and the run of the transform that made them, if it was now."""

    lease: Lease
    events: tuple[StampedEvent, ...]
    transform: TransformRun | None = None

    def sent(self, ids: Sequence[str] = ()) -> tuple[SentEvent, ...]:
        """Return the record of the events, with the ids the event API returned where it did."""
        if len(self.events) == 1:
            [event] = self.events
            return (SentEvent(event.id, event.name, ids[0] if ids else ""),)
        padded = [*ids, *[""] * (len(self.events) - len(ids))]
        return tuple(SentEvent(event.id, event.name, i) for event, i in zip(self.events, padded, strict=True))


@dataclass(frozen=True, slots=True)
class Batch:
    """Entries that are sent together under one seed. A batch is frozen by its name, seed and order."""

    name: str
    seed: str
    members: tuple[Member, ...]

    @property
    def events(self) -> list[StampedEvent]:
        """All events, in the order they are sent."""
        return [event for member in self.members for event in member.events]

    def share(self, position: int) -> Frozen:
        """Return what the entry at `position` must keep so that this very batch can be sent again."""
        lines = b"\n".join(event.body for event in self.members[position].events)
        return Frozen(self.name, self.seed, position, lines)


def thaw(leases: Sequence[Lease]) -> Batch | None:
    """Return the frozen batch that `leases` are, byte for byte; None when they belong to none.

    None as well when the first members are gone, which a process that died between two settlements leaves: the event
    API derives its own ids from seed and place, so other events in those places would pass for the ones before.
    """
    frozen = leases[0].entry.frozen
    if frozen is None or frozen.position != 0:
        return None
    members = [Member(lease, tuple(_events(lease.entry.frozen))) for lease in leases]
    return Batch(frozen.batch, frozen.seed, tuple(members))


def _events(frozen: Frozen | None) -> Iterator[StampedEvent]:
    for line in frozen.events.split(b"\n") if frozen else []:
        event = payload.loads(line)
        yield StampedEvent(event["id"], event["name"], line)


def pack(members: Sequence[Member], limits: Limits) -> list[tuple[Member, ...]]:
    """Group entries into requests within the limits, in order; an entry that is over them alone stands alone."""
    groups: list[tuple[Member, ...]] = []
    group: list[Member] = []
    size = count = 0
    for member in members:
        more = sum([len(event.body) + 1 for event in member.events])
        if group and (size + more >= limits.request_bytes or count + len(member.events) > limits.events):
            groups.append(tuple(group))
            group, size, count = [], 0, 0
        group.append(member)
        size, count = size + more, count + len(member.events)
    return [*groups, tuple(group)] if group else groups


def chunk(events: Sequence[StampedEvent], limits: Limits) -> list[list[StampedEvent]]:
    """Split events into requests within the limits; only an entry that is over them alone needs more than one."""
    if len(events) <= limits.events and sum([len(event.body) + 1 for event in events]) < limits.request_bytes:
        return [list(events)]
    chunks: list[list[StampedEvent]] = [[]]
    size = 0
    for event in events:
        more = len(event.body) + 1
        if chunks[-1] and (size + more >= limits.request_bytes or len(chunks[-1]) >= limits.events):
            chunks.append([])
            size = 0
        chunks[-1].append(event)
        size += more
    return chunks


def serialise(events: Sequence[StampedEvent]) -> bytes:
    """Return the request body: a JSON array of the events' own bytes."""
    return b"[" + b",".join([event.body for event in events]) + b"]"


def oversize(events: Sequence[StampedEvent], limits: Limits) -> str:
    """Say which event no request can hold; empty when there is none."""
    for event in events:
        if len(event.body) > limits.event_bytes:
            return (
                f"too_large: the event {event.name} is {len(event.body)} bytes and event_api.max_event_bytes is "
                f"{limits.event_bytes}; let the transform send less, or raise the limit to what your plan allows"
            )
    return ""
