"""What is asked of the PostgreSQL inbox step by step, by ascending key: stored deliveries and event names."""

from __future__ import annotations

import itertools
from typing import Any

from gateway.history import EventName, NamesSeen, Query
from gateway.inbox.postgres_connections import Connection
from gateway.inbox.postgres_rows import TABLES, WIDE, entry
from gateway.inbox.postgres_search import Conditions
from gateway.inbox.postgres_text import kept, told
from gateway.inbox.rows import STEP_BYTES
from gateway.model import Entry

_WITH_BODY = "b.key IS NOT NULL"

_LAST_OF_STEP = "SELECT key FROM entries WHERE key > $1 ORDER BY key OFFSET $2 LIMIT 1"
_LAST = "SELECT max(key) FROM entries"
_NAMES = """
SELECT e.source, v.name, count(*), sum((substr(v.name, strpos(v.name, '/') + 1) <> e.type)::int),
  min(e.received_at), max(e.received_at), max(e.key)
FROM events v JOIN entries e ON e.key = v.key
WHERE v.key > $1 AND v.key <= $2 AND e.key > $1 AND e.key <= $2 AND ($3 = '' OR e.source = $3)
GROUP BY e.source, v.name
"""
_SAMPLE = "SELECT id FROM events WHERE key = $1 AND name = $2 ORDER BY n LIMIT 1"


async def stored(connection: Connection, query: Query) -> list[Entry]:
    """Return the first entries after `query.after` that match and have their body, with it."""
    where = Conditions(query)
    sizes = (
        f"SELECT e.key, octet_length(b.body) FROM {TABLES} WHERE {where.text} AND {_WITH_BODY} "  # noqa: S608 - fixed fragments, bound values
        f"ORDER BY e.key LIMIT {where.bind(query.limit)}"
    )
    found = await connection.fetch(sizes, *where.values)
    totals = itertools.accumulate((size for _, size in found), initial=0)
    keys = [key for (key, _), before in zip(found, totals, strict=False) if before < STEP_BYTES]
    wide = f"SELECT {WIDE} FROM {TABLES} WHERE e.key = ANY ($1::bigint[]) AND {_WITH_BODY} ORDER BY e.key"  # noqa: S608 - fixed fragments
    records: list[Any] = await connection.fetch(wide, keys)
    return [entry(record) for record in records]


async def count_stored(connection: Connection, query: Query) -> int:
    """Count the entries that match and have their body."""
    where = Conditions(query)
    counted = f"SELECT count(*) FROM {TABLES} WHERE {where.text} AND {_WITH_BODY}"  # noqa: S608 - fixed fragments, bound values
    return int(await connection.fetchval(counted, *where.values))


async def event_names(connection: Connection, source: str, after: int, limit: int) -> NamesSeen:
    """Return the names of the events of `limit` entries after a key, with one of the newest entry as the sample."""
    last = await connection.fetchval(_LAST_OF_STEP, after, limit - 1)
    if last is None:
        last = await connection.fetchval(_LAST) or after
    names = []
    for of, name, count, renamed, first, latest, key in await connection.fetch(_NAMES, after, last, kept(source)):
        sample = told(await connection.fetchval(_SAMPLE, key, name))
        names.append(EventName(told(of), told(name), count, renamed, first, latest, key, sample))
    return NamesSeen(tuple(names), max(last, after))
