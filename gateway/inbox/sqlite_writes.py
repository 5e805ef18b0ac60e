"""What the writer thread does to an inbox file, in a transaction that it opens and commits: replay and prune."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import apsw

from gateway.failpoints import failpoint
from gateway.history import Query
from gateway.inbox import sqlite_secrets
from gateway.inbox.sqlite_connection import rows
from gateway.inbox.sqlite_search import matching
from gateway.model import ReplayMode

# What one prune may free and hand back to the file system, 4 MiB: intake waits for it as for any other group.
PRUNE_BYTES = 4 << 20
VACUUM_PAGES = PRUNE_BYTES // 4_096

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
_NARROW = (
    "UPDATE entries SET body_kept = 0, forget_at = coalesce((SELECT expires_at FROM dedupe WHERE "
    "dedupe.key = entries.key), 0) "
    "WHERE key = ? AND state IN ('forwarded', 'skipped', 'dead')"
)
_FORGET_BODY = (
    _NARROW,
    "DELETE FROM bodies WHERE key = ?",
    "DELETE FROM attempts WHERE key = ?",
    "DELETE FROM events WHERE key = ?",
)
_FORGET_IDS = (
    "DELETE FROM dedupe WHERE key IN (SELECT key FROM dedupe WHERE expires_at < ? ORDER BY expires_at LIMIT ?)"
)
_FORGET_ENTRIES = (
    "DELETE FROM entries WHERE key IN (SELECT key FROM entries WHERE forget_at < ? ORDER BY forget_at LIMIT ?)"
)


def replay(connection: apsw.Connection, keys: Sequence[int], query: Query, mode: ReplayMode, now: int) -> int:
    """Make those of `keys` that still match, and are settled with their body, pending again; return how many."""
    conditions, values = matching(query)
    generations = 1 if mode is ReplayMode.RERUN else 0
    before = connection.total_changes()
    connection.executemany(f"{_RESTART} AND {conditions}", [(now, generations, key, *values) for key in keys])
    return connection.total_changes() - before


def prune(connection: apsw.Connection, bodies_before: int, now: int, limit: int) -> int:
    """Take one step of retention and hand the space back; return how many rows of each kind went, in all.

    With its body an entry loses its attempts and events. The narrow entry stays until its window ends, so that the
    receipt of an absorbed re-send still names something.
    """
    sqlite_secrets.forget(connection, bodies_before)
    keys = _first_bytes(rows(connection, _OLD_BODIES, (bodies_before, limit)), PRUNE_BYTES)
    for statement in _FORGET_BODY:
        connection.executemany(statement, [(key,) for key in keys])
    failpoint("in_prune")
    gone = len(keys)
    for statement in (_FORGET_IDS, _FORGET_ENTRIES):
        connection.execute(statement, (now, limit))
        gone += connection.changes()
    if gone:
        rows(connection, f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
    return gone


def _first_bytes(sizes: Sequence[tuple[int, int | None]], most: int) -> list[int]:
    """Return the first keys whose bodies have together no more than `most` bytes, and always one."""
    totals = itertools.accumulate(size or 0 for _, size in sizes)
    return [key for n, ((key, _), total) in enumerate(zip(sizes, totals, strict=True)) if n == 0 or total <= most]
