"""Compare what was moved with the file it came from: every record, in order, and the counts of both sides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NoReturn

from gateway.errors import MoveFailed
from gateway.inbox.moving.read_back import Found
from gateway.inbox.moving.record import Digest, Record
from gateway.inbox.moving.source import Counted, Source
from gateway.inbox.moving.target import Target

Progress = Callable[[str, int], None]
"""Told what is being done, and with how many deliveries it is done."""

# What retention takes together.
_WIDE = frozenset({"bodies", "attempts", "events"})


@dataclass(frozen=True, slots=True)
class Terms:
    """The move whose copies are compared, and after how long (ms) the target's retention may take what was settled."""

    move: str
    retention_ms: int


@dataclass(slots=True)
class Comparison:
    """What was found so far: the digests of both sides, and what is not there and may not be, at the target's time.

    `absorbed` are re-sends of what was there, `forgotten` were taken by the target's retention since they were copied;
    of `narrowed` it took the body alone. It may take what was settled `retention_ms` ago.
    """

    retention_ms: int
    now: int = 0
    compared: int = 0
    narrowed: int = 0
    absorbed: Counted = field(default_factory=dict)
    forgotten: Counted = field(default_factory=dict)
    sent: Digest = field(default_factory=Digest)
    arrived: Digest = field(default_factory=Digest)

    def add(self, record: Record, found: Found | None) -> None:
        """Compare one record. Raises MoveFailed, naming it and the table, where it is not what it was."""
        if found is None:
            _differs("entries", record, None)
        elif found.key is None:
            _count(self.absorbed, record)
        elif found.record is None:
            if not self._is_forgotten(record, found):
                _differs("entries", record, found.key)
            _count(self.forgotten, record)
        else:
            self._compare(record, found.record, found)
        self.compared += 1

    def _compare(self, mine: Record, theirs: Record, found: Found) -> None:
        """Compare all parts; those that retention has taken are taken from both."""
        gone: frozenset[str] = frozenset()
        if _is_narrowed(mine, theirs, found):
            self.narrowed += 1
            gone = _WIDE
            theirs = replace(theirs, standing=theirs.standing._replace(forget_at=mine.standing.forget_at))
        claim = mine.claim if found.claimed else None
        # The window of an id may end at any time, and somebody else has the id then.
        claimed = claim is not None and (theirs.claim is not None or claim.expires_at >= self.now)
        sent, arrived = [
            [part for part in record.parts(claimed=claimed) if part[0] not in gone] for record in (mine, theirs)
        ]
        for (table, value), (_, other) in zip(sent, arrived, strict=True):
            if value != other:
                _differs(table, mine, found.key)
        if claim and theirs.claim and theirs.claim.hits < claim.hits:
            _differs("dedupe", mine, found.key)
        self.sent.add(sent)
        self.arrived.add(arrived)

    def _is_forgotten(self, mine: Record, found: Found) -> bool:
        """Tell whether retention may have taken an entry, or has taken the whole of its day."""
        settled_at = mine.standing.settled_at
        if settled_at is None or mine.narrow.expires_at >= self.now:
            return False
        return not found.day_kept or settled_at < self.now - self.retention_ms


async def verify(
    source: Source, target: Target, terms: Terms, progress: Progress, stop: asyncio.Event
) -> Comparison | None:
    """Compare both sides in the order of the file, and their counts; None where `stop` was set meanwhile.

    Raises MoveFailed where anything is different.
    """
    comparison, after = Comparison(terms.retention_ms), 0
    while records := source.batch(after):
        if stop.is_set():
            return None
        last = records[-1].key
        found = await target.found(terms.move, after, last)
        comparison.now = await target.now()
        for record in records:
            comparison.add(record, found.get(record.key))
        after = last
        progress("comparing", comparison.compared)
    _compare_counts(source.counts(), await target.counts(terms.move), comparison)
    if comparison.sent.hex() != comparison.arrived.hex():
        raise MoveFailed(f"the SHA-256 of what {source.path} holds is not that of what was moved")
    return comparison


def _compare_counts(sent: Counted, arrived: Counted, comparison: Comparison) -> None:
    for source, states in sent.items():
        for state, number in states.items():
            left = sum(counted.get(source, {}).get(state, 0) for counted in (comparison.absorbed, comparison.forgotten))
            there = arrived.get(source, {}).get(state, 0)
            if number - left != there:
                raise MoveFailed(
                    f"{number - left} deliveries of {source} should be {state} in the target and {there} are; "
                    f"{_what_to_do()}"
                )


def _is_narrowed(mine: Record, theirs: Record, found: Found) -> bool:
    """Tell whether retention took the body of an entry, which leaves its marks; a lost body has none."""
    taken = theirs.standing.forget_at is not None or not found.bodies_kept
    return mine.finished and mine.body is not None and theirs.body is None and taken


def _count(counted: Counted, record: Record) -> None:
    states = counted.setdefault(record.narrow.source, {})
    states[record.standing.state] = states.get(record.standing.state, 0) + 1


def _differs(table: str, record: Record, key: int | None) -> NoReturn:
    where = f"entry {key}" if key is not None else "it was not copied"
    raise MoveFailed(
        f"what was moved is not what is in the file: it differs first in the table {table}, at the delivery "
        f"{record.narrow.delivery_id} of {record.narrow.source} (entry {record.key} of the file, {where} of the "
        f"target); {_what_to_do()}"
    )


def _what_to_do() -> str:
    return (
        "nothing of it is forwarded. Look who changed it, then give this move up with gateway move --undo, and move "
        "again"
    )
