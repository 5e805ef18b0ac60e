"""What the reader thread asks of an inbox file about the last minutes: what came, what was settled, what waits."""

from __future__ import annotations

import apsw

from gateway.history import Activity, Settled, Waiting
from gateway.inbox.sqlite_connection import rows
from gateway.model import State

_RECEIVED = "SELECT source, received_at FROM entries WHERE received_at >= ? ORDER BY received_at DESC LIMIT ?"
_SETTLED = """
SELECT source, state, received_at, settled_at,
  (SELECT duration_ms FROM attempts WHERE attempts.key = entries.key ORDER BY number DESC LIMIT 1)
FROM entries WHERE settled_at IS NOT NULL AND body_kept = 1 AND settled_at >= ? ORDER BY settled_at DESC LIMIT ?
"""

# One statement for each index that holds unfinished entries, which SQLite would not choose for a GROUP BY.
_COUNT = "SELECT source, count(*), min(key) FROM entries INDEXED BY"
_PENDING = f"{_COUNT} entries_due WHERE state = 'pending' AND batch IS NULL GROUP BY source"
_LEASED = f"{_COUNT} entries_leased WHERE state = 'leased' AND batch IS NULL GROUP BY source"
_FROZEN = f"{_COUNT} entries_batch WHERE batch IS NOT NULL GROUP BY source"
_RECEIVED_AT = "SELECT received_at FROM entries WHERE key = ?"


def activity(connection: apsw.Connection, since: int, limit: int) -> Activity:
    """Tell what was received and settled at or after `since`, the newest `limit` of each, and what waits."""
    settled = [
        Settled(source, State(state), received_at, settled_at, attempt_ms)
        for source, state, received_at, settled_at, attempt_ms in rows(connection, _SETTLED, (since, limit))
    ]
    return Activity(tuple(rows(connection, _RECEIVED, (since, limit))), tuple(settled), _waiting(connection))


def _waiting(connection: apsw.Connection) -> dict[str, Waiting]:
    counted: dict[str, tuple[int, int]] = {}
    for statement in (_PENDING, _LEASED, _FROZEN):
        for source, number, key in rows(connection, statement):
            before, first = counted.get(source, (0, key))
            counted[source] = (before + number, min(first, key))
    return {
        source: Waiting(number, rows(connection, _RECEIVED_AT, (key,))[0][0])
        for source, (number, key) in counted.items()
    }
