"""Compare the events that two transforms made of one delivery. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from gateway import payload
from gateway.model import StampedEvent
from gateway.shadow.differences import Difference, differences

Pair = tuple[StampedEvent | None, StampedEvent | None]


@dataclass(frozen=True, slots=True)
class Compared:
    """How events changed: those that were taken away or added, and where those that both made differ."""

    removed: tuple[StampedEvent, ...] = ()
    added: tuple[StampedEvent, ...] = ()
    differing: tuple[tuple[StampedEvent, tuple[Difference, ...]], ...] = field(default=())

    @property
    def same(self) -> bool:
        """Whether the event API would see no difference."""
        return not (self.removed or self.added or self.differing)


SAME = Compared()


def compare(old: Sequence[StampedEvent], new: Sequence[StampedEvent]) -> Compared:
    """Compare events by their ids first, then, as a changed name changes the id too, the others by their order."""
    if tuple(old) == tuple(new):
        return SAME
    removed, added, differing = [], [], []
    for before, after in _pairs(old, new):
        if before and after:
            if found := tuple(_differences(before, after)):
                differing.append((after, found))
        elif before:
            removed.append(before)
        elif after:
            added.append(after)
    return Compared(tuple(removed), tuple(added), tuple(differing))


def _pairs(old: Sequence[StampedEvent], new: Sequence[StampedEvent]) -> Iterator[Pair]:
    by_id = {event.id: event for event in new}
    known = {event.id for event in old}
    others = iter([event for event in new if event.id not in known])
    for event in old:
        yield event, by_id[event.id] if event.id in by_id else next(others, None)
    for event in others:
        yield None, event


def _differences(old: StampedEvent, new: StampedEvent) -> Iterator[Difference]:
    """Take the bytes for the whole event: equal ones cost nothing to compare."""
    if old.body != new.body:
        yield from differences(payload.loads(old.body), payload.loads(new.body))
