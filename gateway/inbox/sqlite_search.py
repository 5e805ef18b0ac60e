"""What the reader thread asks of an inbox file: search, get, counts, what a replay takes, bodies of leased entries."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import apsw

from gateway.history import Counts, History, Query
from gateway.inbox import sqlite_secrets
from gateway.inbox.rows import entry, history
from gateway.inbox.sqlite_connection import rows
from gateway.inbox.sqlite_rows import NARROW, TABLES, WIDE, named
from gateway.model import Attempt, Entry, SentEvent, State

_BY_ID = """entries.key IN (
  SELECT key FROM entries WHERE delivery_id = ?
  UNION SELECT key FROM events WHERE id = ? AND own_id = 1
  UNION SELECT events.key FROM entries JOIN events ON events.key = entries.key
    WHERE entries.delivery_id IN (SELECT value FROM json_each(?)) AND events.id = ?
  UNION SELECT key FROM events WHERE event_api_id = ? AND event_api_id <> ''
  UNION SELECT key FROM entries WHERE trace_id = ? AND trace_id <> '')"""

# Literals, because a bound value could not use the index of the dead.
_IN_STATE = {state: f"entries.state = '{state.value}'" for state in State}

_ONE = f"SELECT {', '.join(WIDE)} FROM {TABLES} WHERE entries.key = ?"  # noqa: S608 - fixed fragments
_MANY = f"SELECT {', '.join(WIDE)} FROM {TABLES} WHERE entries.key IN (SELECT value FROM json_each(?))"  # noqa: S608 - fixed fragments
_ATTEMPTS = "SELECT number, at, duration_ms, outcome, status, detail FROM attempts WHERE key = ? ORDER BY number"
_EVENTS = "SELECT id, name, event_api_id FROM events WHERE key = ? ORDER BY n"

_REPLAYABLE = "entries.settled_at IS NOT NULL AND entries.body_kept = 1"

_STATES = ", ".join(f"sum(state = '{state.value}')" for state in State)
_TALLY = (
    f"SELECT source, max(received_at), min(iif(state IN ('pending', 'leased'), received_at, NULL)), {_STATES} "  # noqa: S608 - fixed fragments
    "FROM entries GROUP BY source"
)
_RESENDS = "SELECT source, sum(hits) FROM dedupe WHERE hits > 0 GROUP BY source"


def matching(query: Query) -> tuple[str, list[Any]]:
    """Return the SQL condition on `entries` that `query` means, and the values to bind in it."""
    narrowed_by_id = "+" if query.id else ""  # a plus keeps SQLite from preferring the index of that column
    terms: list[tuple[str, tuple[Any, ...]]] = []
    if query.id:
        terms.append((_BY_ID, (query.id, query.id, _delivery_ids(query.id), query.id, query.id, query.id)))
    if query.source:
        terms.append((f"{narrowed_by_id}entries.source = ?", (query.source,)))
    if query.type:
        terms.append(("entries.type = ?", (query.type,)))
    if query.state is not None:
        terms.append((narrowed_by_id + _IN_STATE[query.state], ()))
    if query.since is not None:
        terms.append((f"{narrowed_by_id}entries.received_at >= ?", (query.since,)))
    if query.until is not None:
        terms.append((f"{narrowed_by_id}entries.received_at < ?", (query.until,)))
    if query.reason:
        terms.append(("instr(entries.reason, ?)", (query.reason,)))
    if query.before:
        terms.append((f"({narrowed_by_id}entries.received_at, entries.key) < (?, ?)", query.before))
    if query.after:
        terms.append(("entries.key > ?", (query.after,)))
    conditions = " AND ".join(condition for condition, _ in terms) or "TRUE"
    return conditions, [value for _, values in terms for value in values]


def search(connection: apsw.Connection, query: Query) -> list[History]:
    """Find entries, newest first, without bodies."""
    conditions, values = matching(query)
    found = (
        f"SELECT {', '.join(NARROW)} FROM {TABLES} WHERE {conditions} "  # noqa: S608 - fixed fragments, bound values
        "ORDER BY entries.received_at DESC, entries.key DESC LIMIT ?"
    )
    narrow = [named(NARROW, row) for row in rows(connection, found, (*values, query.limit))]
    return [history(row, *_life(connection, row["key"])) for row in narrow]


def count(connection: apsw.Connection, query: Query) -> int:
    """Count the settled entries that match and have their body."""
    conditions, values = matching(query)
    [[number]] = rows(connection, f"SELECT count(*) FROM entries WHERE {conditions} AND {_REPLAYABLE}", values)  # noqa: S608 - fixed fragments, bound values
    return int(number)


def replayable(connection: apsw.Connection, query: Query) -> list[int]:
    """Return the keys of the settled entries that match and have their body, ascending, up to the query's limit.

    The steps of a replay walk the table once, in all; with another index each of them would sort all that is left.
    """
    conditions, values = matching(query)
    found = f"SELECT key FROM entries NOT INDEXED WHERE {conditions} AND {_REPLAYABLE} ORDER BY key LIMIT ?"  # noqa: S608 - fixed fragments, bound values
    return [key for (key,) in rows(connection, found, (*values, query.limit))]


def get(connection: apsw.Connection, key: int) -> History | None:
    """Return the life of one entry with its body, or None."""
    found = rows(connection, _ONE, (key,))
    return history(named(WIDE, found[0]), *_life(connection, key)) if found else None


def entries(connection: apsw.Connection, keys: Sequence[int]) -> list[Entry]:
    """Return entries with their bodies, in the order of `keys`."""
    found = {row[0]: row for row in rows(connection, _MANY, (json.dumps(keys),))}
    return [entry(named(WIDE, found[key])) for key in keys if key in found]


def counts(connection: apsw.Connection) -> Counts:
    """Count entries by source and state."""
    tally = rows(connection, _TALLY)
    unfinished = [oldest for _, _, oldest, *_ in tally if oldest is not None]
    return Counts(
        by_source={source: _nonzero(numbers) for source, _, _, *numbers in tally},
        oldest_pending_at=min(unfinished, default=None),
        duplicates=dict(rows(connection, _RESENDS)),
        last_received_at={source: newest for source, newest, *_ in tally},
        secrets=sqlite_secrets.uses(connection),
    )


def _delivery_ids(event_id: str) -> str:
    """Return what the delivery's id may be in an event's: `<source>:<delivery id>:<name>`, any of which has colons."""
    parts = event_id.split(":")
    return json.dumps([":".join(parts[1:end]) for end in range(2, len(parts))])


def _life(connection: apsw.Connection, key: int) -> tuple[tuple[Attempt, ...], tuple[SentEvent, ...]]:
    attempts = tuple(Attempt(*row) for row in rows(connection, _ATTEMPTS, (key,)))
    return attempts, tuple(SentEvent(*row) for row in rows(connection, _EVENTS, (key,)))


def _nonzero(numbers: Sequence[int]) -> dict[State, int]:
    return {state: number for state, number in zip(State, numbers, strict=True) if number}
