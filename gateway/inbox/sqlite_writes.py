"""What the writer thread does to an inbox file, in a transaction that it opens and commits: put, replay, prune."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import apsw

from gateway.failpoints import failpoint
from gateway.history import Query
from gateway.inbox.sqlite_connection import rows
from gateway.inbox.sqlite_rows import body_row, trace_id
from gateway.inbox.sqlite_search import matching
from gateway.model import Delivery, Receipt, ReplayMode

# What one prune may free and hand back to the file system, 4 MiB: intake waits for it as for any other group.
PRUNE_BYTES = 4 << 20
VACUUM_PAGES = PRUNE_BYTES // 4_096

_KNOWN = "SELECT key, first_seen FROM dedupe WHERE source = ? AND delivery_id = ?"
_COUNT_RESEND = "UPDATE dedupe SET hits = hits + 1, last_seen = ? WHERE source = ? AND delivery_id = ?"
_CLAIM = "INSERT OR REPLACE INTO dedupe (source, delivery_id, key, first_seen) VALUES (?, ?, ?, ?)"
_KEEP_ENTRY = (
    "INSERT INTO entries (source, provider, delivery_id, type, trace_id, received_at, state, due_at) "
    "VALUES (?, ?, ?, ?, ?, ?, 'pending', ?)"
)
_KEEP_BODY = "INSERT INTO bodies (key, metadata, body, content) VALUES (?, ?, ?, ?)"

_RESTART = (
    "UPDATE entries SET state = 'pending', due_at = ?, generation = generation + ?, reason = '', rejections = 0, "
    "rejected_at = NULL, settled_at = NULL "
    "WHERE key = ? AND state IN ('forwarded', 'skipped', 'dead') AND body_kept = 1"
)

_OLD_BODIES = (
    "SELECT entries.key, length(body) + coalesce(length(content), 0) FROM entries "
    "LEFT JOIN bodies ON bodies.key = entries.key "
    "WHERE settled_at < ? AND body_kept = 1 ORDER BY settled_at LIMIT ?"
)
_FORGET_BODY = (
    "UPDATE entries SET body_kept = 0 WHERE key = ? AND state IN ('forwarded', 'skipped', 'dead')",
    "DELETE FROM bodies WHERE key = ?",
    "DELETE FROM attempts WHERE key = ?",
    "DELETE FROM events WHERE key = ?",
)
_FORGET_IDS = (
    "DELETE FROM dedupe WHERE (source, delivery_id) IN "
    "(SELECT source, delivery_id FROM dedupe WHERE first_seen < ? ORDER BY first_seen LIMIT ?)"
)
_FORGET_ENTRIES = (
    "DELETE FROM entries WHERE key IN (SELECT key FROM entries WHERE settled_at < ? AND body_kept = 0 "
    "ORDER BY settled_at LIMIT ?)"
)


def put(connection: apsw.Connection, deliveries: Sequence[Delivery], now: int, window_ms: int) -> list[Receipt]:
    """Claim each id and keep its delivery, or count the re-send; an id older than the window is claimed anew."""
    return [_put_one(connection, delivery, now, window_ms) for delivery in deliveries]


def replay(connection: apsw.Connection, keys: Sequence[int], query: Query, mode: ReplayMode, now: int) -> int:
    """Make those of `keys` that still match, and are settled with their body, pending again; return how many."""
    conditions, values = matching(query)
    generations = 1 if mode is ReplayMode.RERUN else 0
    before = connection.total_changes()
    connection.executemany(f"{_RESTART} AND {conditions}", [(now, generations, key, *values) for key in keys])
    return connection.total_changes() - before


def prune(connection: apsw.Connection, bodies_before: int, ids_before: int, limit: int) -> int:
    """Take one step of retention and hand the space back; return how many rows of each kind went, in all.

    With its body an entry loses its attempts and events. The narrow entry stays until `ids_before` passes it too, so
    that the receipt of an absorbed re-send still names something.
    """
    keys = _first_bytes(rows(connection, _OLD_BODIES, (bodies_before, limit)), PRUNE_BYTES)
    for statement in _FORGET_BODY:
        connection.executemany(statement, [(key,) for key in keys])
    failpoint("in_prune")
    gone = len(keys)
    for statement in (_FORGET_IDS, _FORGET_ENTRIES):
        connection.execute(statement, (ids_before, limit))
        gone += connection.changes()
    if gone:
        rows(connection, f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
    return gone


def _first_bytes(sizes: Sequence[tuple[int, int | None]], most: int) -> list[int]:
    """Return the first keys whose bodies have together no more than `most` bytes, and always one."""
    totals = itertools.accumulate(size or 0 for _, size in sizes)
    return [key for n, ((key, _), total) in enumerate(zip(sizes, totals, strict=True)) if n == 0 or total <= most]


def _put_one(connection: apsw.Connection, delivery: Delivery, now: int, window_ms: int) -> Receipt:
    identity = (delivery.source, delivery.id)
    for key, first_seen in rows(connection, _KNOWN, identity):
        if first_seen >= now - window_ms:
            connection.execute(_COUNT_RESEND, (now, *identity))
            return Receipt(key=key, duplicate=True, first_seen_at=first_seen)
    narrow = (delivery.source, delivery.provider, delivery.id, delivery.type, trace_id(delivery), delivery.received_at)
    connection.execute(_KEEP_ENTRY, (*narrow, now))
    key = connection.last_insert_rowid()
    connection.execute(_KEEP_BODY, (key, *body_row(delivery)))
    connection.execute(_CLAIM, (*identity, key, now))
    return Receipt(key=key, duplicate=False, first_seen_at=now)
