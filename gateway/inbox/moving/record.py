"""One entry with everything that an inbox keeps of it, as either engine has it, to be copied and compared. Pure."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

UNFINISHED = "pending"

Lives = dict[int, tuple[tuple[Any, ...], ...]]
"""Attempts or events by the key of their entry."""


class Narrow(NamedTuple):
    """What never changes of an entry, and until when its id is remembered (unix ms; 0 where nobody knows)."""

    source: str
    provider: str
    delivery_id: str
    type: str
    trace_id: str
    received_at: int
    digest: bytes | None
    expires_at: int


class Standing(NamedTuple):
    """What became of an entry so far; no lease is part of it, so a leased entry is a pending one."""

    state: str
    due_at: int
    attempts: int
    generation: int
    reason: str
    rejections: int
    rejected_at: int | None
    batch: str | None
    position: int | None
    settled_at: int | None
    forget_at: int | None
    transform: str | None
    transform_ms: float | None


class Claim(NamedTuple):
    """What is remembered of an id and its re-sends. Times are unix milliseconds."""

    first_seen: int
    expires_at: int
    hits: int
    last_seen: int | None


class Body(NamedTuple):
    """The wide part of an entry, as gateway.inbox.rows makes it."""

    metadata: bytes
    body: bytes
    content: bytes | None


@dataclass(frozen=True, slots=True)
class Record:
    """An entry by its key. A `share` is seed and events of a frozen batch; attempts and events go by their numbers."""

    key: int
    narrow: Narrow
    standing: Standing
    claim: Claim | None
    body: Body | None
    share: tuple[str, bytes] | None
    attempts: tuple[tuple[Any, ...], ...]
    events: tuple[tuple[Any, ...], ...]

    @classmethod
    def of(cls, row: Iterable[Any], lives: Iterable[tuple[tuple[Any, ...], ...]]) -> Record:
        """Make a record of a row (key, then the columns in the order of the classes above), attempts and events."""
        values = iter(row)
        key = next(values)
        kinds = (Narrow, Standing, Claim, Body)
        narrow, standing, claim, body = [tuple(itertools.islice(values, len(kind._fields))) for kind in kinds]
        seed, share = values
        return cls(
            key,
            Narrow(*narrow),
            Standing(*standing),
            Claim(*claim) if claim[0] is not None else None,
            Body(*body) if body[0] is not None else None,
            (seed, share) if seed is not None else None,
            *lives,
        )

    @property
    def finished(self) -> bool:
        """Whether nothing is left to be done for it."""
        return self.standing.settled_at is not None

    @property
    def size(self) -> int:
        """The bytes of its body and content."""
        return len(self.body.body) + len(self.body.content or b"") if self.body else 0

    def parts(self, *, claimed: bool) -> Iterator[tuple[str, Any]]:
        """Yield what is compared, by the table of the PostgreSQL inbox that holds it; the claim where it was moved."""
        yield "entries", self.narrow
        yield "outcomes" if self.finished else "queue", self.standing
        yield "bodies", self.body
        yield "frozen", self.share
        yield "attempts", self.attempts
        yield "events", self.events
        if claimed:
            yield "dedupe", self.claim and self.claim[:2]  # the rest goes on changing


class Digest:
    """A SHA-256 over parts of records, in the order in which they are added."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, parts: list[tuple[str, Any]]) -> None:
        """Add the parts of one record, every value with its length or its end."""
        for table, value in parts:
            if isinstance(value, Body):
                for wide in value:
                    self._hash.update(b"%d;" % (-1 if wide is None else len(wide)))
                    self._hash.update(wide or b"")
            else:
                self._hash.update(repr((table, value and tuple(value))).encode("utf-8", "surrogatepass"))

    def hex(self) -> str:
        """Return the digest of what was added so far."""
        return self._hash.hexdigest()
