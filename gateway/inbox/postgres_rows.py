"""The columns that are read of the PostgreSQL inbox, and rows of them as entries and histories. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.history import History
from gateway.inbox import rows
from gateway.inbox.postgres_text import LONGEST_NAME, told
from gateway.inbox.rows import Row
from gateway.model import Attempt, Entry, SentEvent

# An entry is in the queue until it is settled, and then it has an outcome.
_EITHER = ("due_at", "attempts", "generation", "reason", "rejections", "rejected_at", "transform", "transform_ms")
NARROW = ", ".join(
    (
        "e.key, e.source, e.provider, e.delivery_id, e.type, e.received_at, e.digest",
        "coalesce(o.state, CASE WHEN q.lease IS NULL THEN 'pending' ELSE 'leased' END) AS state",
        *(f"coalesce(o.{column}, q.{column}) AS {column}" for column in _EITHER),
        "o.settled_at, q.batch, q.position, f.seed, f.events, d.hits, d.last_seen, b.metadata",
    )
)
WIDE = f"{NARROW}, b.body, b.content"
# What postgres_text.name makes of an id.
_NAME = (
    f"CASE WHEN length(e.delivery_id) <= {LONGEST_NAME} THEN e.delivery_id "
    r"ELSE E'\x1a#' || encode(sha256(convert_to(e.delivery_id, 'UTF8')), 'hex') END"
)
JOINED = (
    "LEFT JOIN queue q ON q.key = e.key LEFT JOIN outcomes o ON o.key = e.key LEFT JOIN frozen f ON f.key = e.key "
    "LEFT JOIN bodies b ON b.key = e.key "
    f"LEFT JOIN dedupe d ON d.source = e.source AND d.delivery_id = {_NAME} AND d.key = e.key"
)
TABLES = f"entries e {JOINED}"


def named(record: Mapping[str, Any]) -> Row:
    """Return a row by the names of its columns, with its text as it was."""
    row = {column: told(value) if isinstance(value, str) else value for column, value in record.items()}
    row["body_kept"] = row["metadata"] is not None
    return row


def entry(record: Mapping[str, Any]) -> Entry:
    """Make an entry of a record, with its body where the record is wide."""
    return rows.entry(named(record))


def history(record: Mapping[str, Any], attempts: Sequence[Any] = (), events: Sequence[Any] = ()) -> History:
    """Make a history of a record and those of its attempts and events."""
    return rows.history(
        named(record),
        tuple(Attempt(*map(_told, attempt)) for attempt in attempts),
        tuple(SentEvent(*map(_told, event)) for event in events),
    )


def _told(value: Any) -> Any:
    return told(value) if isinstance(value, str) else value


def columns(table: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Turn rows into one list a column, as unnest takes them."""
    return [list(column) for column in zip(*table, strict=True)] if table else [[] for _ in range(width)]
