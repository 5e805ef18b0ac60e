"""What is asked of the PostgreSQL inbox: search, get, counts, and what a replay takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateway.history import Counts, History, Query, SecretUse
from gateway.inbox.postgres_connections import Connection
from gateway.inbox.postgres_rows import NARROW, TABLES, WIDE, history
from gateway.inbox.postgres_text import kept, told
from gateway.model import ReplayMode, State

_BY_ID = """e.key IN (
  SELECT key FROM entries WHERE left(delivery_id, 200) = left({id}, 200) AND delivery_id = {id}
  UNION SELECT key FROM events WHERE left(id, 200) = left({id}, 200) AND id = {id}
  UNION SELECT key FROM events
    WHERE left(event_api_id, 200) = left({id}, 200) AND event_api_id = {id} AND event_api_id <> ''
  UNION SELECT key FROM entries WHERE left(trace_id, 200) = left({id}, 200) AND trace_id = {id} AND trace_id <> '')"""
_IN_STATE = {
    State.PENDING: "q.key IS NOT NULL AND q.lease IS NULL",
    State.LEASED: "q.lease IS NOT NULL",
    State.FORWARDED: "o.state = 'forwarded'",
    State.SKIPPED: "o.state = 'skipped'",
    State.DEAD: "o.state = 'dead'",
}
REPLAYABLE = "o.key IS NOT NULL AND b.key IS NOT NULL"

_ATTEMPTS = """
SELECT key, number, at, duration_ms, outcome, status, detail FROM attempts
WHERE key = ANY ($1::bigint[]) ORDER BY key, number
"""
_EVENTS = "SELECT key, id, name, event_api_id FROM events WHERE key = ANY ($1::bigint[]) ORDER BY key, n"

_SETTLED = "SELECT source, state, count(*) FROM outcomes GROUP BY source, state"
_UNSETTLED = """
SELECT source, CASE WHEN lease IS NULL THEN 'pending' ELSE 'leased' END, count(*), min(received_at)
FROM queue GROUP BY 1, 2
"""
_RESENDS = "SELECT source, sum(hits) FROM dedupe WHERE hits > 0 GROUP BY source"
_LATEST = """
SELECT s.source, (SELECT received_at FROM entries e WHERE e.source = s.source ORDER BY received_at DESC LIMIT 1)
FROM sources s
"""
_USES = "SELECT source, label, uses, last_at FROM secret_uses ORDER BY day"

_REPLAY = """
WITH again AS (
  DELETE FROM outcomes WHERE key IN (SELECT e.key FROM {tables} WHERE {conditions})
  RETURNING key, source, attempts, generation, transform, transform_ms
)
INSERT INTO queue (key, source, received_at, due_at, bytes, attempts, generation, transform, transform_ms)
SELECT again.key, again.source, e.received_at, {now}, octet_length(b.body), again.attempts,
  again.generation + {generations}, again.transform, again.transform_ms
FROM again JOIN entries e ON e.key = again.key JOIN bodies b ON b.key = again.key
RETURNING key
"""


class Conditions:
    """What a query means in SQL: `text` on the tables of postgres_rows.TABLES, and the values bound in it."""

    def __init__(self, query: Query) -> None:
        self.values: list[Any] = []
        terms = ["true"]
        if query.id:
            terms.append(_BY_ID.format(id=self.bind(kept(query.id)) + "::text"))
        if query.source:
            terms.append(f"e.source = {self.bind(kept(query.source))}")
        if query.type:
            terms.append(f"e.type = {self.bind(kept(query.type))}")
        if query.state is not None:
            terms.append(_IN_STATE[query.state])
        if query.since is not None:
            terms.append(f"e.received_at >= {self.bind(query.since)}")
        if query.until is not None:
            terms.append(f"e.received_at < {self.bind(query.until)}")
        if query.reason:
            terms.append(f"position({self.bind(kept(query.reason))}::text IN coalesce(o.reason, q.reason)) > 0")
        if query.before:
            received_at, key = map(self.bind, query.before)
            terms.append(f"(e.received_at, e.key) < ({received_at}, {key})")
        if query.after:
            terms.append(f"e.key > {self.bind(query.after)}")
        self.text = " AND ".join(terms)

    def bind(self, value: Any) -> str:
        """Bind one more value; return the name to write for it."""
        self.values.append(value)
        return f"${len(self.values)}"


async def search(connection: Connection, query: Query) -> list[History]:
    """Find entries, newest first, without bodies."""
    where = Conditions(query)
    found = (
        f"SELECT {NARROW} FROM {TABLES} WHERE {where.text} "  # noqa: S608 - fixed fragments, bound values
        f"ORDER BY e.received_at DESC, e.key DESC LIMIT {where.bind(query.limit)}"
    )
    return await _with_lives(connection, await connection.fetch(found, *where.values))


async def get(connection: Connection, key: int) -> History | None:
    """Return the life of one entry with its body, or None."""
    one = f"SELECT {WIDE} FROM {TABLES} WHERE e.key = $1"  # noqa: S608 - fixed fragments
    found = await _with_lives(connection, await connection.fetch(one, key))
    return found[0] if found else None


async def count(connection: Connection, query: Query) -> int:
    """Count the settled entries that match and have their body."""
    where = Conditions(query)
    counted = f"SELECT count(*) FROM {TABLES} WHERE {where.text} AND {REPLAYABLE}"  # noqa: S608 - fixed fragments, bound values
    return int(await connection.fetchval(counted, *where.values))


async def replayable(connection: Connection, query: Query) -> list[int]:
    """Return the keys of the settled entries that match and have their body, ascending, up to the query's limit."""
    where = Conditions(query)
    found = (
        f"SELECT e.key FROM {TABLES} WHERE {where.text} AND {REPLAYABLE} "  # noqa: S608 - fixed fragments, bound values
        f"ORDER BY e.key LIMIT {where.bind(query.limit)}"
    )
    return [key for (key,) in await connection.fetch(found, *where.values)]


async def replay(connection: Connection, keys: Sequence[int], query: Query, mode: ReplayMode, now: int) -> int:
    """Make those of `keys` that still match, and are settled with their body, pending again; return how many."""
    where = Conditions(query)
    conditions = f"{where.text} AND {REPLAYABLE} AND e.key = ANY ({where.bind(list(keys))}::bigint[])"
    generations = where.bind(1 if mode is ReplayMode.RERUN else 0)
    statement = _REPLAY.format(
        tables=TABLES, conditions=conditions, now=f"{where.bind(now)}::bigint", generations=f"{generations}::int"
    )
    return len(await connection.fetch(statement, *where.values))


async def counts(connection: Connection) -> Counts:
    """Count entries by source and state."""
    by_source: dict[str, dict[State, int]] = {}
    oldest = []
    for source, state, number, received_at in await connection.fetch(_UNSETTLED):
        by_source.setdefault(told(source), {})[State(state)] = number
        oldest.append(received_at)
    for source, state, number in await connection.fetch(_SETTLED):
        by_source.setdefault(told(source), {})[State(state)] = number
    latest = {told(source): at for source, at in await connection.fetch(_LATEST) if at is not None}
    uses: dict[str, dict[str, SecretUse]] = {}
    for source, label, number, last_at in await connection.fetch(_USES):
        of_source = uses.setdefault(told(source), {})
        before = of_source.get(told(label), SecretUse(0, 0))
        of_source[told(label)] = SecretUse(before.count + number, max(before.last_at, last_at))
    return Counts(
        by_source=by_source,
        oldest_pending_at=min(oldest, default=None),
        duplicates={told(source): int(hits) for source, hits in await connection.fetch(_RESENDS)},
        last_received_at=latest,
        secrets=uses,
    )


async def _with_lives(connection: Connection, records: Sequence[Any]) -> list[History]:
    keys = [record["key"] for record in records]
    attempts: dict[int, list[Any]] = {}
    events: dict[int, list[Any]] = {}
    if keys:
        for key, *attempt in await connection.fetch(_ATTEMPTS, keys):
            attempts.setdefault(key, []).append(attempt)
        for key, *event in await connection.fetch(_EVENTS, keys):
            events.setdefault(key, []).append(event)
    return [history(record, attempts.get(record["key"], ()), events.get(record["key"], ())) for record in records]
