"""What is asked of the inbox and what it tells: queries, steps of a replay, histories, counts. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.model import Attempt, Entry, SentEvent, State, TransformRun


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for in the inbox; all given fields must match.

    `id` matches a delivery id, an event id, an id the event API returned, or a trace id. `reason` is part of the
    entry's reason, in the same case. `after` leaves out the entries whose key is not greater. `before` is the time of
    receipt and the key of an entry: a search, which goes from the newest to the oldest, goes on after that one.
    """

    id: str = ""
    source: str = ""
    type: str = ""
    state: State | None = None
    since: int | None = None
    until: int | None = None
    limit: int = 50
    reason: str = ""
    after: int = 0
    before: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Replayed:
    """One step of a replay: how many entries are pending again, and the last key that was looked at.

    The next step takes `last_key` as its `Query.after`; nothing is left when the two are equal.
    """

    count: int
    last_key: int


@dataclass(frozen=True, slots=True)
class EventName:
    """How often a source sent events of one name, in which time, and the id of one of its newest entry.

    `renamed` counts those whose name, without the prefix, is not the delivery's type. `key` is the newest entry's.
    """

    source: str
    name: str
    count: int
    renamed: int
    first_at: int
    last_at: int
    key: int
    sample: str


@dataclass(frozen=True, slots=True)
class NamesSeen:
    """One step through the event names in the inbox: those of the entries up to `last_key`.

    The next step takes `last_key` as its `after`; nothing is left when the two are equal.
    """

    names: tuple[EventName, ...]
    last_key: int


@dataclass(frozen=True, slots=True)
class History:
    """The life of one entry: itself, its attempts and events, and the re-sends that were absorbed.

    `entry.delivery` has an empty body when retention has taken it; `body_kept` tells that apart from one that was
    empty on arrival. `transform` is the last run of its transform, where one came to an end.
    """

    entry: Entry
    attempts: tuple[Attempt, ...] = ()
    events: tuple[SentEvent, ...] = ()
    duplicates: int = 0
    last_duplicate_at: int | None = None
    settled_at: int | None = None
    body_kept: bool = True
    transform: TransformRun | None = None


@dataclass(frozen=True, slots=True)
class SecretUse:
    """How many deliveries a secret verified within the retention, and when the last one was received (unix ms)."""

    count: int
    last_at: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many entries each source has in each state, and when the oldest unfinished one was received.

    `secrets` tells how often each secret was used, by source and label, of sources that have several.
    """

    by_source: Mapping[str, Mapping[State, int]]
    oldest_pending_at: int | None = None
    duplicates: Mapping[str, int] = field(default_factory=dict)
    last_received_at: Mapping[str, int] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, SecretUse]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settled:
    """One settled entry in brief; `attempt_ms` is how long its last request to the event API took, if there was one."""

    source: str
    state: State
    received_at: int
    settled_at: int
    attempt_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many entries of a source are not settled, and when the oldest of them was received."""

    count: int
    oldest_at: int


@dataclass(frozen=True, slots=True)
class Activity:
    """What went on lately: sources and times of receipt, and what was settled, newest first; what waits, by source."""

    received: tuple[tuple[str, int], ...]
    settled: tuple[Settled, ...]
    waiting: Mapping[str, Waiting]
