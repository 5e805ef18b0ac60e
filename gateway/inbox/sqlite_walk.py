"""What the reader thread asks of an inbox file step by step, by ascending key: stored deliveries and event names."""

from __future__ import annotations

import contextlib

import apsw

from gateway.history import EventName, NamesSeen, Query
from gateway.inbox.rows import STEP_BYTES, entry
from gateway.inbox.sqlite_connection import rows
from gateway.inbox.sqlite_rows import JOINED, WIDE, named
from gateway.inbox.sqlite_search import matching
from gateway.model import Entry

_WITH_BODY = "entries.body_kept = 1"

# Grouping sorts the few thousand rows of one step, never all of the table.
_NAMES = """
SELECT entries.source, events.name, count(*),
  sum(substr(events.name, instr(events.name, '/') + 1) <> entries.type),
  min(entries.received_at), max(entries.received_at), max(entries.key)
FROM events JOIN entries ON entries.key = events.key
WHERE events.key > :after AND events.key <= :last AND (:source = '' OR entries.source = :source)
GROUP BY entries.source, events.name
"""
_LAST_OF_STEP = "SELECT key FROM entries WHERE key > ? ORDER BY key LIMIT 1 OFFSET ?"
_LAST = "SELECT max(key) FROM entries"
_SAMPLE = "SELECT id FROM events WHERE key = ? AND name = ? ORDER BY n LIMIT 1"


def stored(connection: apsw.Connection, query: Query) -> list[Entry]:
    """Return the first entries after `query.after` that match and have their body, with it."""
    conditions, values = matching(query)
    # Every step reads on in the table's own order; with another index each of them would sort all that is left.
    sought = (
        f"SELECT {', '.join(WIDE)} FROM entries NOT INDEXED {JOINED} "  # noqa: S608 - fixed fragments, bound values
        f"WHERE {conditions} AND {_WITH_BODY} ORDER BY entries.key LIMIT ?"
    )
    found: list[Entry] = []
    size = 0
    with contextlib.closing(connection.execute(sought, (*values, query.limit))) as cursor:
        for row in cursor:
            found.append(entry(named(WIDE, row)))
            size += len(found[-1].delivery.body)
            if size >= STEP_BYTES:
                break
    return found


def count_stored(connection: apsw.Connection, query: Query) -> int:
    """Count the entries that match and have their body."""
    conditions, values = matching(query)
    [[number]] = rows(connection, f"SELECT count(*) FROM entries WHERE {conditions} AND {_WITH_BODY}", values)  # noqa: S608 - fixed fragments, bound values
    return int(number)


def event_names(connection: apsw.Connection, source: str, after: int, limit: int) -> NamesSeen:
    """Return the names of the events of `limit` entries after a key, with one of the newest entry as the sample."""
    [[greatest]] = rows(connection, _LAST)
    last = next((key for (key,) in rows(connection, _LAST_OF_STEP, (after, limit - 1))), greatest or after)
    found = rows(connection, _NAMES, {"after": after, "last": last, "source": source})
    names = [
        EventName(source, name, count, renamed, first, latest, key, rows(connection, _SAMPLE, (key, name))[0][0])
        for source, name, count, renamed, first, latest, key in found
    ]
    return NamesSeen(tuple(names), max(last, after))
