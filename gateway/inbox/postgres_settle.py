"""What became of leased entries: out of the queue with an outcome, or back into it, where the lease is still held."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from gateway.errors import LeaseLost
from gateway.inbox.postgres_connections import Connection
from gateway.inbox.postgres_rows import columns
from gateway.inbox.postgres_text import kept
from gateway.model import Lease, Settlement, State

# Each row that is held is found and locked by its key; they are then changed by a list of keys, as no join can then be
# made that reads the rest of the queue.
_SETTLE = """
WITH given AS MATERIALIZED (
  SELECT * FROM unnest($1::int[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::int[], $7::text[], $8::int[],
    $9::bigint[], $10::text[], $11::int[], $12::text[], $13::float8[])
    AS g (n, key, token, state, due_at, attempts, reason, rejections, rejected_at, batch, position, transform,
      transform_ms)
), held AS MATERIALIZED (
  SELECT g.*, q.source, q.due_at AS was_due_at, q.attempts AS had_attempts, q.generation,
    coalesce(g.transform, q.transform) AS ran, coalesce(g.transform_ms, q.transform_ms) AS ran_ms
  FROM given g CROSS JOIN LATERAL (
    SELECT * FROM queue WHERE key = g.key AND lease = g.token LIMIT 1 FOR UPDATE) q
), done AS (
  DELETE FROM queue WHERE key = ANY (ARRAY(SELECT key FROM held WHERE state <> 'pending'))
), outcome AS (
  INSERT INTO outcomes
    (key, source, state, due_at, attempts, generation, reason, rejections, rejected_at, settled_at, transform,
      transform_ms)
  SELECT key, source, state, was_due_at, coalesce(attempts, had_attempts), generation, reason, rejections, rejected_at,
    $14::bigint, ran, ran_ms
  FROM held WHERE state <> 'pending'
), again AS (
  UPDATE queue q SET lease = NULL, leased_until = NULL, due_at = h.due_at, attempts = coalesce(h.attempts, q.attempts),
    reason = h.reason, rejections = h.rejections, rejected_at = h.rejected_at, batch = h.batch, position = h.position,
    transform = h.ran, transform_ms = h.ran_ms
  FROM held h
  WHERE q.key = h.key AND h.state = 'pending' AND q.key = ANY (ARRAY(SELECT key FROM held WHERE state = 'pending'))
)
SELECT n FROM held
"""
_THAW = "DELETE FROM frozen WHERE key = ANY ($1::bigint[])"
_FREEZE = "INSERT INTO frozen (key, seed, events) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[])"
_KEEP_ATTEMPTS = """
INSERT INTO attempts (key, number, at, duration_ms, outcome, status, detail)
SELECT * FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::text[], $6::int[], $7::text[])
ON CONFLICT (key, number) DO UPDATE SET at = excluded.at, duration_ms = excluded.duration_ms,
  outcome = excluded.outcome, status = excluded.status, detail = excluded.detail
"""
_FORGET_EVENTS = "DELETE FROM events WHERE key = ANY ($1::bigint[])"
_KEEP_EVENTS = """
INSERT INTO events (key, n, id, name, event_api_id)
SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::text[])
"""

Settled = Sequence[tuple[Lease, Settlement]]


async def settle(connection: Connection, settlements: Settled, now: int) -> list[LeaseLost | None]:
    """Record what became of each lease that is still held, once."""
    first: dict[tuple[int, str], int] = {}
    for n, (lease, _) in enumerate(settlements):
        first.setdefault((lease.entry.key, lease.token), n)
    rows = [_row(n, *settlements[n], now) for n in first.values()]
    held = {n for (n,) in await connection.fetch(_SETTLE, *columns(rows, 13), now)} if rows else set()
    await _note_history(connection, [settlements[n] for n in sorted(held)])
    return [None if n in held else _lost(lease) for n, (lease, _) in enumerate(settlements)]


async def _note_history(connection: Connection, settled: Settled) -> None:
    """Keep attempts, events and shares of frozen batches of entries whose leases were held."""
    thawed = [lease.entry.key for lease, _ in settled if lease.entry.frozen]
    if thawed:
        await connection.execute(_THAW, thawed)
    frozen = [
        (lease.entry.key, kept(one.frozen.seed), one.frozen.events)
        for lease, one in settled
        if one.frozen and one.state is State.PENDING
    ]
    await _insert(connection, _FREEZE, frozen)
    await _insert(connection, _KEEP_ATTEMPTS, list(_attempts(settled)))
    # An entry that was not tried before has no events that these would replace.
    before = [lease.entry.key for lease, one in settled if one.events and lease.entry.attempts]
    if before:
        await connection.execute(_FORGET_EVENTS, before)
    events = [
        (lease.entry.key, n, kept(event.id), kept(event.name), kept(event.event_api_id))
        for lease, one in settled
        for n, event in enumerate(one.events, start=1)
    ]
    await _insert(connection, _KEEP_EVENTS, events)


def _attempts(settled: Settled) -> Iterable[tuple[Any, ...]]:
    for lease, one in settled:
        if attempt := one.attempt:
            told = (attempt.at, attempt.duration_ms, kept(attempt.outcome), attempt.status, kept(attempt.detail))
            yield (lease.entry.key, attempt.number, *told)


async def _insert(connection: Connection, statement: str, rows: list[tuple[Any, ...]]) -> None:
    if rows:
        await connection.execute(statement, *columns(rows, len(rows[0])))


def _row(n: int, lease: Lease, settlement: Settlement, now: int) -> tuple[Any, ...]:
    again = settlement.state is State.PENDING
    frozen = settlement.frozen if again else None
    return (
        n,
        lease.entry.key,
        lease.token,
        settlement.state.value,
        now if settlement.due_at is None else settlement.due_at,
        settlement.attempt.number if settlement.attempt else None,
        kept(settlement.reason),
        settlement.rejections,
        settlement.rejected_at,
        kept(frozen.batch) if frozen else None,
        frozen.position if frozen else None,
        kept(settlement.transform.reference) if settlement.transform else None,
        settlement.transform.ms if settlement.transform else None,
    )


def _lost(lease: Lease) -> LeaseLost:
    key = lease.entry.key
    return LeaseLost(f"the lease on entry {key} is no longer held: it expired and was taken, or was settled before")
