"""What is asked of the PostgreSQL inbox about the last minutes: what came, what was settled, what waits."""

from __future__ import annotations

from gateway.history import Activity, Settled, Waiting
from gateway.inbox.postgres_connections import Connection
from gateway.inbox.postgres_text import told
from gateway.model import State

_RECEIVED = "SELECT source, received_at FROM entries WHERE received_at >= $1 ORDER BY received_at DESC LIMIT $2"
# What belongs to each is looked up by its key: for a join the planner would read all entries of all days.
_SETTLED = """
SELECT o.source, o.state, (SELECT e.received_at FROM entries e WHERE e.key = o.key), o.settled_at,
  (SELECT a.duration_ms FROM attempts a WHERE a.key = o.key ORDER BY a.number DESC LIMIT 1)
FROM (
  SELECT key, source, state, settled_at FROM outcomes WHERE forget_at IS NULL AND settled_at >= $1
  ORDER BY settled_at DESC LIMIT $2) o
ORDER BY o.settled_at DESC
"""
_WAITING = "SELECT source, count(*), min(received_at) FROM queue GROUP BY source"


async def activity(connection: Connection, since: int, limit: int) -> Activity:
    """Tell what was received and settled at or after `since`, the newest `limit` of each, and what waits."""
    received = [(told(source), at) for source, at in await connection.fetch(_RECEIVED, since, limit)]
    settled = [
        Settled(told(source), State(state), received_at, settled_at, attempt_ms)
        for source, state, received_at, settled_at, attempt_ms in await connection.fetch(_SETTLED, since, limit)
    ]
    waiting = {told(source): Waiting(number, at) for source, number, at in await connection.fetch(_WAITING)}
    return Activity(tuple(received), tuple(settled), waiting)
