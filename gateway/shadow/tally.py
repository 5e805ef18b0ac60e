"""Count what a new transform would change, in bounded memory: groups with one example each. No I/O."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from gateway.model import Delivery, Skip, StampedEvent
from gateway.shadow.differences import Difference, dotted, masked, shown
from gateway.shadow.pairs import compare
from gateway.transform import Mapped, Postponed, Stamped

# A transform may name events or fields by what it is sent, and reasons may quote it.
MAX_GROUPS = 500
OTHERS = "(all others)"
NOT_RUN = "was not run, as it had just hung on another delivery"

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Outcome(enum.StrEnum):
    """What a transform makes of a delivery."""

    EVENTS = "events"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(slots=True)
class Group:
    """Deliveries that have something in common, and the id of the first of them."""

    count: int = 0
    example: str = ""

    def add(self, delivery: Delivery) -> None:
        """Count one more."""
        self.count += 1
        self.example = self.example or delivery.id


@dataclass(slots=True)
class Field(Group):
    """A place in events that changes; `old` and `new` tell it of the example, masked unless values are shown."""

    old: str = ""
    new: str = ""


@dataclass(slots=True)
class Names:
    """How many events of one name the two transforms make."""

    old: int = 0
    new: int = 0


@dataclass(slots=True)
class Tally:
    """What was compared so far.

    `outcomes` counts deliveries by what the old and the new transform make of them. `fields` are by event name and
    path; `skips` and `failures` are the new transform's, by reason.
    """

    show_values: bool = False
    deliveries: int = 0
    changed: int = 0
    outcomes: Counter[tuple[Outcome, Outcome]] = field(default_factory=Counter)
    names: dict[str, Names] = field(default_factory=dict)
    fields: dict[tuple[str, str], Field] = field(default_factory=dict)
    skips: dict[str, Group] = field(default_factory=dict)
    failures: dict[str, Group] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """How many deliveries the new transform fails on."""
        return sum(group.count for group in self.failures.values())

    def add(self, delivery: Delivery, old: Mapped, new: Mapped) -> None:
        """Count what became of one delivery."""
        (before, events_before), (after, events_after) = _events(old), _events(new)
        self.deliveries += 1
        self.outcomes[before, after] += 1
        for event in events_before:
            _group(self.names, event.name, OTHERS, Names).old += 1
        for event in events_after:
            _group(self.names, event.name, OTHERS, Names).new += 1
        compared = compare(events_before, events_after)
        self.changed += before is not after or not compared.same
        for event, found in compared.differing:
            for difference in found:
                self._note(event.name, difference, delivery)
        if after is not Outcome.EVENTS:
            groups = self.skips if after is Outcome.SKIPPED else self.failures
            _group(groups, _reason(new), OTHERS, Group).add(delivery)

    def _note(self, name: str, found: Difference, delivery: Delivery) -> None:
        group = _group(self.fields, (name, dotted(found.path, indexes=False)), (OTHERS, ""), Field)
        if not group.count:
            group.old, group.new = self._told(found, found.old), self._told(found, found.new)
        group.add(delivery)

    def _told(self, found: Difference, value: Any) -> str:
        """Mask what is in the data alone: names, ids and times of events are no news to whoever reads the inbox."""
        return masked(value) if found.path[:1] == ("data",) and not self.show_values else shown(value)


def _events(mapped: Mapped) -> tuple[Outcome, tuple[StampedEvent, ...]]:
    match mapped:
        case Stamped():
            return Outcome.EVENTS, mapped.events
        case Skip():
            return Outcome.SKIPPED, ()
    return Outcome.FAILED, ()


def _reason(mapped: Mapped) -> str:
    match mapped:
        case Skip():
            return mapped.reason
        case Postponed():
            return NOT_RUN
    return str(mapped)


def _group(groups: dict[K, V], key: K, others: K, make: Callable[[], V]) -> V:
    """Return the group of a key, or that of all others when there are too many."""
    if key not in groups and len(groups) >= MAX_GROUPS:
        key = others
    if key not in groups:
        groups[key] = make()
    return groups[key]
