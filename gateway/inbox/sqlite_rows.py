"""The columns that are read of the SQLite inbox, and rows of them by name."""

from __future__ import annotations

import functools
from typing import Any

from gateway.inbox.rows import Row

# What `rows.entry` and `rows.history` read; the wide ones are left out of a search.
NARROW = (
    *(f"entries.{name}" for name in ("key", "source", "provider", "delivery_id", "type", "received_at", "state")),
    *(f"entries.{name}" for name in ("due_at", "attempts", "generation", "reason", "rejections", "rejected_at")),
    *(f"entries.{name}" for name in ("batch", "position", "settled_at", "body_kept")),
    *("entries.transform", "entries.transform_ms"),
    *("frozen.seed", "frozen.events", "dedupe.hits", "dedupe.last_seen", "dedupe.digest"),
    "bodies.metadata",
)
WIDE = (*NARROW, "bodies.body", "bodies.content")
JOINED = (
    "LEFT JOIN bodies ON bodies.key = entries.key LEFT JOIN frozen ON frozen.key = entries.key "
    "LEFT JOIN dedupe ON dedupe.source = entries.source AND dedupe.delivery_id = entries.delivery_id "
    "AND dedupe.key = entries.key"
)
TABLES = f"entries {JOINED}"


def named(columns: tuple[str, ...], values: tuple[Any, ...]) -> Row:
    """Name the values of a row selected with `columns`, without their tables."""
    return dict(zip(_without_tables(columns), values, strict=True))


@functools.cache
def _without_tables(columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(column.partition(".")[2] for column in columns)
