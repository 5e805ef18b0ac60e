"""What the writer thread does to record what became of leased entries, in a transaction that it opens and commits."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import apsw

from gateway.errors import LeaseLost
from gateway.inbox.sqlite_connection import insert, rows
from gateway.model import Lease, Settlement, State

_HELD = """
SELECT json_group_array(json_array(key, lease)) FROM entries
WHERE key IN (SELECT value FROM json_each(?)) AND state = 'leased'
"""
_SETTLE = """
WITH told (
  key, state, due_at, attempts, reason, rejections, rejected_at, batch, position, settled_at, transform, transform_ms
) AS ({values})
UPDATE entries SET state = told.state, due_at = coalesce(told.due_at, entries.due_at),
  attempts = coalesce(told.attempts, entries.attempts), reason = told.reason, rejections = told.rejections,
  rejected_at = told.rejected_at, batch = told.batch, position = told.position, settled_at = told.settled_at,
  lease = NULL, leased_until = NULL, transform = coalesce(told.transform, entries.transform),
  transform_ms = coalesce(told.transform_ms, entries.transform_ms)
FROM told WHERE entries.key = told.key
"""
_THAW = "DELETE FROM frozen WHERE key IN (SELECT value FROM json_each(?))"
_FREEZE = "INSERT INTO frozen (key, seed, events) {values}"
_KEEP_ATTEMPTS = "INSERT OR REPLACE INTO attempts (key, number, at, duration_ms, outcome, status, detail) {values}"
_FORGET_EVENTS = "DELETE FROM events WHERE key IN (SELECT value FROM json_each(?))"
_KEEP_EVENTS = "INSERT INTO events (key, n, id, name, event_api_id, own_id) {values}"

Settled = tuple[Lease, Settlement]


def settle(
    connection: apsw.Connection, settlements: Sequence[tuple[Lease, Settlement]], now: int
) -> list[LeaseLost | None]:
    """Record what became of each lease that is still held."""
    [[found]] = rows(connection, _HELD, (json.dumps([lease.entry.key for lease, _ in settlements]),))
    held = {(key, token) for key, token in json.loads(found)}
    outcomes: list[LeaseLost | None] = []
    settled: list[Settled] = []
    for lease, settlement in settlements:
        key = lease.entry.key
        if (key, lease.token) in held:
            held.remove((key, lease.token))
            settled.append((lease, settlement))
            outcomes.append(None)
        else:
            lost = f"the lease on entry {key} is no longer held: it expired and was taken, or was settled before"
            outcomes.append(LeaseLost(lost))
    _record(connection, settled, now)
    return outcomes


def _record(connection: apsw.Connection, settled: Sequence[Settled], now: int) -> None:
    insert(connection, _SETTLE, [_row(lease.entry.key, settlement, now) for lease, settlement in settled])
    connection.execute(_THAW, (_keys(settled),))
    insert(connection, _FREEZE, [row for each in settled for row in _frozen(*each)])
    insert(connection, _KEEP_ATTEMPTS, [row for each in settled for row in _attempt(*each)])
    sent = [(lease, settlement) for lease, settlement in settled if settlement.events]
    connection.execute(_FORGET_EVENTS, (_keys(sent),))
    insert(connection, _KEEP_EVENTS, [row for each in sent for row in _events(*each)])


def _keys(settled: Sequence[Settled]) -> str:
    return json.dumps([lease.entry.key for lease, _ in settled])


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


def _row(key: int, settlement: Settlement, now: int) -> tuple[Any, ...]:
    """Return what `_SETTLE` is told of one entry."""
    attempt, run = settlement.attempt, settlement.transform
    again = settlement.state is State.PENDING
    frozen = settlement.frozen if again else None
    return (
        key,
        settlement.state.value,
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
