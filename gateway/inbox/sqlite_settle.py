"""What the writer thread does to record what became of leased entries, in a transaction that it opens and commits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from gateway.errors import LeaseLost
from gateway.inbox.sqlite_connection import insert, listed, rows
from gateway.model import Lease, Settlement, State

_HELD = """
SELECT json_group_array(json_array(key, lease)) FROM entries
WHERE key IN (SELECT value FROM json_each(?)) AND state = 'leased'
"""
_SETTLE = """
WITH told (
  key, token, state, due_at, attempts, reason, rejections, rejected_at, batch, position, settled_at, transform,
  transform_ms
) AS ({values})
UPDATE entries SET state = told.state, due_at = coalesce(told.due_at, entries.due_at),
  attempts = coalesce(told.attempts, entries.attempts), reason = told.reason, rejections = told.rejections,
  rejected_at = told.rejected_at, batch = told.batch, position = told.position, settled_at = told.settled_at,
  lease = NULL, leased_until = NULL, transform = coalesce(told.transform, entries.transform),
  transform_ms = coalesce(told.transform_ms, entries.transform_ms)
FROM told WHERE entries.key = told.key AND entries.lease = told.token AND entries.state = 'leased'
"""
_LOST = "the lease on entry {key} is no longer held: it expired and was taken, or was settled before"
_THAW = "DELETE FROM frozen WHERE key IN (SELECT value FROM json_each(?))"
_FREEZE = "INSERT INTO frozen (key, seed, events) {values}"
_KEEP_ATTEMPTS = "INSERT OR REPLACE INTO attempts (key, number, at, duration_ms, outcome, status, detail) {values}"
_FORGET_EVENTS = "DELETE FROM events WHERE key IN (SELECT value FROM json_each(?))"
_KEEP_EVENTS = "INSERT INTO events (key, n, id, name, event_api_id, own_id) {values}"

# A look-up in an enumeration is a call, and every webhook's.
_STATES = {state: state.value for state in State}

Settled = tuple[Lease, Settlement]


@dataclass(frozen=True, slots=True)
class Settle:
    """What became of leased entries, to record at `now`."""

    settlements: Sequence[Settled]
    now: int


class Doubted(Exception):
    """Not all leases of several operations are held, so that each operation is to be done by itself."""


def settle_all(connection: apsw.Connection, told: Sequence[Settle]) -> list[list[LeaseLost | None]]:
    """Record what became of leases that are all held, as they nearly always are.

    Raises Doubted, after which the transaction must be undone.
    """
    settled = [each for one in told for each in one.settlements]
    before = connection.total_changes()
    insert(
        connection, _SETTLE, [_row(lease, settlement, one.now) for one in told for lease, settlement in one.settlements]
    )
    if connection.total_changes() - before != len(settled):
        raise Doubted
    _record(connection, settled)
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
    insert(connection, _SETTLE, settlements)
    _record(connection, settled)
    return outcomes


def _held(connection: apsw.Connection, keys: Sequence[int]) -> dict[int, str]:
    """Return the tokens of those that are leased."""
    [[found]] = rows(connection, _HELD, (listed(keys),))
    return dict(json.loads(found))


def _record(connection: apsw.Connection, settled: Sequence[Settled]) -> None:
    thawed = [lease.entry.key for lease, _ in settled if lease.entry.frozen]
    if thawed:
        connection.execute(_THAW, (listed(thawed),))
    insert(connection, _FREEZE, [row for each in settled for row in _frozen(*each)])
    insert(connection, _KEEP_ATTEMPTS, [row for each in settled for row in _attempt(*each)])
    sent = [(lease, settlement) for lease, settlement in settled if settlement.events]
    again = [lease.entry.key for lease, _ in sent if lease.attempt > 1]
    if again:
        connection.execute(_FORGET_EVENTS, (listed(again),))
    insert(connection, _KEEP_EVENTS, [row for each in sent for row in _events(*each)])


def _frozen(lease: Lease, settlement: Settlement) -> Iterator[tuple[Any, ...]]:
    if (share := settlement.frozen) and settlement.state is State.PENDING:
        yield lease.entry.key, share.seed, share.events


def _attempt(lease: Lease, settlement: Settlement) -> Iterator[tuple[Any, ...]]:
    if made := settlement.attempt:
        yield lease.entry.key, made.number, made.at, made.duration_ms, made.outcome, made.status, made.detail


def _events(lease: Lease, settlement: Settlement) -> Iterator[tuple[Any, ...]]:
    start = f"{lease.entry.delivery.source}:{lease.entry.delivery.id}:"
    for n, event in enumerate(settlement.events, start=1):
        yield lease.entry.key, n, event.id, event.name, event.event_api_id, not event.id.startswith(start)


def _row(lease: Lease, settlement: Settlement, now: int) -> tuple[Any, ...]:
    """Return what `_SETTLE` is told of one entry."""
    attempt, run = settlement.attempt, settlement.transform
    again = settlement.state is State.PENDING
    frozen = settlement.frozen if again else None
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
    )
