"""What the writer thread does to record what became of leased entries, in a transaction that it opens and commits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from gateway.errors import LeaseLost
from gateway.inbox.sqlite_connection import insert, listed, rows
from gateway.model import Lease, SentEvent, Settlement, State

_HELD = """
SELECT json_group_array(json_array(key, lease)) FROM entries
WHERE key IN (SELECT value FROM json_each(?)) AND state = 'leased'
"""

# One statement records what nearly every settlement has, since each is a wait for the interpreter's lock.
_PREPARE = """
CREATE TEMP VIEW settlements (
  key, token, state, due_at, attempts, reason, rejections, rejected_at, batch, position, settled_at, transform,
  transform_ms, at, duration_ms, outcome, status, detail, event_id, event_name, event_api_id, own_id
) AS VALUES (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22);
CREATE TEMP TRIGGER settle INSTEAD OF INSERT ON settlements BEGIN
  UPDATE entries SET state = new.state, due_at = coalesce(new.due_at, due_at),
    attempts = coalesce(new.attempts, attempts), reason = new.reason, rejections = new.rejections,
    rejected_at = new.rejected_at, batch = new.batch, position = new.position, settled_at = new.settled_at,
    lease = NULL, leased_until = NULL, transform = coalesce(new.transform, transform),
    transform_ms = coalesce(new.transform_ms, transform_ms)
  WHERE key = new.key AND lease = new.token AND state = 'leased';
  INSERT OR REPLACE INTO attempts (key, number, at, duration_ms, outcome, status, detail)
  SELECT new.key, new.attempts, new.at, new.duration_ms, new.outcome, new.status, new.detail
  WHERE new.attempts IS NOT NULL;
  INSERT INTO events (key, n, id, name, event_api_id, own_id)
  SELECT new.key, 1, new.event_id, new.event_name, new.event_api_id, new.own_id WHERE new.event_id IS NOT NULL;
END;
"""
_SETTLE = "INSERT INTO temp.settlements {values}"
_LOST = "the lease on entry {key} is no longer held: it expired and was taken, or was settled before"
_THAW = "DELETE FROM frozen WHERE key IN (SELECT value FROM json_each(?))"
_FREEZE = "INSERT INTO frozen (key, seed, events) {values}"
_FORGET_EVENTS = "DELETE FROM events WHERE key IN (SELECT value FROM json_each(?))"
_KEEP_EVENTS = "INSERT INTO events (key, n, id, name, event_api_id, own_id) {values}"

# A look-up in an enumeration is a call, and every webhook's.
_STATES = {state: state.value for state in State}

_NO_ATTEMPT = (None,) * 5
_NO_EVENT = (None,) * 4

Settled = tuple[Lease, Settlement]


@dataclass(frozen=True, slots=True)
class Settle:
    """What became of leased entries, to record at `now`."""

    settlements: Sequence[Settled]
    now: int


def prepare(connection: apsw.Connection) -> None:
    """Make ready, once, a connection that is to settle."""
    connection.execute(_PREPARE)


class Doubted(Exception):
    """Not all leases of several operations are held, so that each operation is to be done by itself."""


def settle_all(connection: apsw.Connection, told: Sequence[Settle]) -> list[list[LeaseLost | None]]:
    """Record what became of leases that are all held, as they nearly always are.

    Raises Doubted, after which the transaction must be undone.
    """
    settled = [each for one in told for each in one.settlements]
    _record_some(connection, settled)
    before = connection.total_changes()
    insert(connection, _SETTLE, [_row(*each, one.now) for one in told for each in one.settlements])
    if connection.total_changes() - before != sum(_changes(settlement) for _, settlement in settled):
        raise Doubted
    return [[None] * len(one.settlements) for one in told]


def settle(connection: apsw.Connection, told: Sequence[Settle]) -> list[list[LeaseLost | None]]:
    """Record what became of each lease that is still held; return what each operation is told of its leases."""
    held = _held(connection, [lease.entry.key for each in told for lease, _ in each.settlements])
    outcomes: list[list[LeaseLost | None]] = []
    settled: list[Settled] = []
    settlements: list[tuple[Any, ...]] = []
    for each in told:
        lost: list[LeaseLost | None] = []
        for lease, settlement in each.settlements:
            key = lease.entry.key
            if held.get(key) == lease.token:
                del held[key]
                settled.append((lease, settlement))
                settlements.append(_row(lease, settlement, each.now))
                lost.append(None)
            else:
                lost.append(LeaseLost(_LOST.format(key=key)))
        outcomes.append(lost)
    _record_some(connection, settled)
    insert(connection, _SETTLE, settlements)
    return outcomes


def _held(connection: apsw.Connection, keys: Sequence[int]) -> dict[int, str]:
    """Return the tokens of those that are leased."""
    [[found]] = rows(connection, _HELD, (listed(keys),))
    return dict(json.loads(found))


def _record_some(connection: apsw.Connection, settled: Sequence[Settled]) -> None:
    """Record what few settlements have: a request that is frozen or no longer, a second attempt, several events."""
    thawed = [lease.entry.key for lease, _ in settled if lease.entry.frozen]
    if thawed:
        connection.execute(_THAW, (listed(thawed),))
    insert(connection, _FREEZE, [row for each in settled for row in _frozen(*each)])
    again = [lease.entry.key for lease, settlement in settled if lease.attempt > 1 and settlement.events]
    if again:
        connection.execute(_FORGET_EVENTS, (listed(again),))
    insert(connection, _KEEP_EVENTS, [row for each in settled for row in _further_events(*each)])


def _frozen(lease: Lease, settlement: Settlement) -> Iterator[tuple[Any, ...]]:
    if (share := settlement.frozen) and settlement.state is State.PENDING:
        yield lease.entry.key, share.seed, share.events


def _further_events(lease: Lease, settlement: Settlement) -> Iterator[tuple[Any, ...]]:
    for n, event in enumerate(settlement.events[1:], start=2):
        yield lease.entry.key, n, *_event(event, lease)


def _event(event: SentEvent, lease: Lease) -> tuple[Any, ...]:
    delivery = lease.entry.delivery
    return event.id, event.name, event.event_api_id, not event.id.startswith(f"{delivery.source}:{delivery.id}:")


def _changes(settlement: Settlement) -> int:
    """Return how many rows `_SETTLE` changes."""
    return 1 + (settlement.attempt is not None) + bool(settlement.events)


def _row(lease: Lease, settlement: Settlement, now: int) -> tuple[Any, ...]:
    """Return what `_SETTLE` is told of one entry."""
    attempt, run = settlement.attempt, settlement.transform
    again = settlement.state is State.PENDING
    frozen = settlement.frozen if again else None
    made = (
        (attempt.at, attempt.duration_ms, attempt.outcome, attempt.status, attempt.detail) if attempt else _NO_ATTEMPT
    )
    sent = _event(settlement.events[0], lease) if settlement.events else _NO_EVENT
    return (
        lease.entry.key,
        lease.token,
        _STATES[settlement.state],
        (now if settlement.due_at is None else settlement.due_at) if again else None,
        attempt.number if attempt else None,
        settlement.reason,
        settlement.rejections,
        settlement.rejected_at,
        frozen.batch if frozen else None,
        frozen.position if frozen else None,
        None if again else now,
        run.reference if run else None,
        run.ms if run else None,
        *made,
        *sent,
    )
