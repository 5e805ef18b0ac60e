"""Read from the PostgreSQL inbox what a move has copied, to be compared with what it was made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.inbox import postgres_days
from gateway.inbox.moving.record import UNFINISHED, Lives, Record
from gateway.inbox.postgres_connections import Connection
from gateway.inbox.postgres_days import NUMBER_BITS
from gateway.inbox.postgres_rows import JOINED
from gateway.inbox.postgres_text import told

# What waits under another lease than the move's, or none, was set free by somebody else.
_RECORDS = f"""
SELECT e.key, e.source, e.provider, e.delivery_id, e.type, e.trace_id, e.received_at, e.digest, e.expires_at,
  coalesce(o.state, CASE WHEN q.lease = $2 THEN '{UNFINISHED}' END, 'lost'), coalesce(o.due_at, q.due_at),
  coalesce(o.attempts, q.attempts), coalesce(o.generation, q.generation), coalesce(o.reason, q.reason),
  coalesce(o.rejections, q.rejections), coalesce(o.rejected_at, q.rejected_at), q.batch, q.position, o.settled_at,
  o.forget_at, coalesce(o.transform, q.transform), coalesce(o.transform_ms, q.transform_ms),
  d.first_seen, d.expires_at, d.hits, d.last_seen, b.metadata, b.body, b.content, f.seed, f.events
FROM unnest($1::bigint[]) AS copied (key) JOIN entries e ON e.key = copied.key {JOINED}
"""  # noqa: S608 - fixed fragments
_ATTEMPTS = """
SELECT key, number, at, duration_ms, outcome, status, detail FROM attempts
WHERE key = ANY ($1::bigint[]) ORDER BY key, number
"""
_EVENTS = "SELECT key, n, id, name, event_api_id FROM events WHERE key = ANY ($1::bigint[]) ORDER BY key, n"


@dataclass(frozen=True, slots=True)
class Found:
    """What became of one record: its key here, None where it was absorbed, and what is there under that key now.

    `claimed` tells whether its id was moved with it; `day_kept` and `bodies_kept` whether retention has left the day of
    its key there, and the bodies of that day.
    """

    key: int | None
    claimed: bool
    record: Record | None
    day_kept: bool
    bodies_kept: bool


async def read_back(connection: Connection, copied: Sequence[Any], holder: str) -> dict[int, Found]:
    """Return what is there of what was copied, by the key it had; `copied` are rows of that key, the new one, claimed.

    `holder` is the lease under which the move holds what is not finished.
    """
    keys = [key for _, key, _ in copied if key is not None]
    entries, bodies = await postgres_days.existing(connection)
    lives = [await _lives(connection, statement, keys) for statement in (_ATTEMPTS, _EVENTS)]
    there = {
        row[0]: Record.of(map(_told, row), (life.get(row[0], ()) for life in lives))
        for row in await connection.fetch(_RECORDS, keys, holder)
    }
    return {
        source_key: Found(key, claimed, there.get(key), _day(key) in entries, _day(key) in bodies)
        for source_key, key, claimed in copied
    }


async def _lives(connection: Connection, statement: str, keys: Sequence[int]) -> Lives:
    found: Lives = {}
    for key, *values in await connection.fetch(statement, keys):
        found[key] = (*found.get(key, ()), tuple(map(_told, values)))
    return found


def _day(key: int | None) -> int:
    return (key or 0) >> NUMBER_BITS


def _told(value: Any) -> Any:
    return told(value) if isinstance(value, str) else value
