"""Retention: whole days are dropped as soon as nothing in them is to be kept, and what is left of others row by row."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

from gateway.failpoints import failpoint
from gateway.inbox.postgres_connections import Connection
from gateway.inbox.postgres_days import BODY_TABLES, DAY_MS, ENTRY_TABLES, drop, existing, first_key

# What one step may delete row by row; others wait for no more than this.
PRUNE_BYTES = 4 << 20

_ALONE = "SELECT pg_try_advisory_xact_lock(hashtext('webhook gateway prune'), hashtext(current_schema()))"
_FORGET_USES = "DELETE FROM secret_uses WHERE day < $1"

# Who replays an entry reads its body, so no entry of the day becomes pending between this and the drop.
_LOCK_BODIES = f"LOCK TABLE {', '.join(f'ONLY {table}' for table in BODY_TABLES)} IN ACCESS EXCLUSIVE MODE"
_BODIES_NEEDED = """
SELECT EXISTS (SELECT FROM queue WHERE key >= $1 AND key < $2)
  OR EXISTS (SELECT FROM outcomes WHERE key >= $1 AND key < $2 AND settled_at >= $3)
"""
_ENTRIES_NEEDED = "SELECT EXISTS (SELECT FROM entries WHERE key >= $1 AND key < $2 AND expires_at >= $3)"
_HOW_MANY = "SELECT count(*) FROM {table} WHERE key >= $1 AND key < $2"

_OLD_BODIES = """
SELECT o.key, coalesce(octet_length(b.body), 0) + coalesce(octet_length(b.content), 0)
FROM outcomes o LEFT JOIN bodies b ON b.key = o.key AND b.key >= $1 AND b.key < $2
WHERE o.key >= $1 AND o.key < $2 AND o.forget_at IS NULL AND o.settled_at < $3 ORDER BY o.settled_at LIMIT $4
"""
_NARROW = """
UPDATE outcomes o SET forget_at = e.expires_at FROM entries e
WHERE o.key = ANY ($1::bigint[]) AND e.key = o.key AND o.forget_at IS NULL AND o.settled_at < $2 RETURNING o.key
"""
_FORGET_IDS = """
DELETE FROM dedupe d
USING (SELECT source, delivery_id FROM dedupe WHERE expires_at < $1 ORDER BY expires_at LIMIT $2) old
WHERE d.source = old.source AND d.delivery_id = old.delivery_id AND d.expires_at < $1
"""
_FORGET_OUTCOMES = """
DELETE FROM outcomes WHERE key IN (SELECT key FROM outcomes WHERE forget_at < $1 ORDER BY forget_at LIMIT $2)
RETURNING key
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What may go: bodies of what was settled before a time, and ids whose window ended before `now` (unix ms).

    `slack_ms` later what is left of a day goes row by row; until then its partition may still go as a whole.
    """

    bodies_before: int
    now: int
    rows: int
    slack_ms: int


async def drop_days(connection: Connection, limits: Limits) -> int:
    """Drop the oldest day's bodies, or else its entries, where none of them is needed; return how many rows went."""
    if not await connection.fetchval(_ALONE):
        return 0
    entries, bodies = await existing(connection)
    for day in sorted(day for day in bodies if (day + 1) * DAY_MS <= limits.bodies_before):
        if await _is_needed(connection, day, limits):
            continue
        await connection.execute(_LOCK_BODIES)
        if not await _is_needed(connection, day, limits) and (gone := await _drop(connection, BODY_TABLES, day)):
            return gone
    for day in sorted(day for day in entries - bodies if (day + 1) * DAY_MS <= limits.now):
        if await connection.fetchval(_ENTRIES_NEEDED, first_key(day), first_key(day + 1), limits.now):
            continue
        if gone := await _drop(connection, ENTRY_TABLES, day):
            return gone
    return 0


async def _is_needed(connection: Connection, day: int, limits: Limits) -> bool:
    """Tell whether an entry of a day is not finished, or was settled too late for its body to go."""
    return bool(await connection.fetchval(_BODIES_NEEDED, first_key(day), first_key(day + 1), limits.bodies_before))


async def _drop(connection: Connection, tables: tuple[str, ...], day: int) -> int:
    """Drop the partitions of a day; return how many rows the first of them had."""
    gone = await connection.fetchval(_HOW_MANY.format(table=tables[0]), first_key(day), first_key(day + 1))
    await drop(connection, tables, day)
    return int(gone)


async def prune_rows(connection: Connection, limits: Limits) -> int:
    """Delete old bodies row by row, and what is known of ids whose window has ended; return how many rows went."""
    if not await connection.fetchval(_ALONE):
        return 0
    await connection.execute(_FORGET_USES, limits.bodies_before // DAY_MS)
    _, bodies = await existing(connection)
    before = limits.bodies_before - limits.slack_ms
    gone = 0
    for day in sorted(day for day in bodies if day * DAY_MS < before):
        if not gone:
            gone = await _narrow(connection, day, before, limits.rows)
    failpoint("in_prune")
    forgotten = await connection.execute(_FORGET_IDS, limits.now, limits.rows)
    keys = [key for (key,) in await connection.fetch(_FORGET_OUTCOMES, limits.now, limits.rows)]
    if keys:
        await connection.execute("DELETE FROM entries WHERE key = ANY ($1::bigint[])", keys)
    return gone + int(forgotten.split()[-1]) + len(keys)


async def _narrow(connection: Connection, day: int, before: int, rows: int) -> int:
    """Take the oldest bodies of a day, with their attempts and events."""
    sizes: list[Any] = await connection.fetch(_OLD_BODIES, first_key(day), first_key(day + 1), before, rows)
    totals = itertools.accumulate((size for _, size in sizes), initial=0)
    old = [key for (key, _), total in zip(sizes, totals, strict=False) if total < PRUNE_BYTES]
    keys = [key for (key,) in await connection.fetch(_NARROW, old, before)]
    for table in BODY_TABLES:
        await connection.execute(f"DELETE FROM {table} WHERE key = ANY ($1::bigint[])", keys)  # noqa: S608 - our own names
    return len(keys)
