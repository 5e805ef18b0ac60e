"""Rates that hold over all gateways: a row each, which tells from when on it is free."""

from __future__ import annotations

from gateway.inbox import rate
from gateway.inbox.postgres_connections import Connection

_RESERVE = """
INSERT INTO rates AS r (name, free_at) VALUES ($1, $2::bigint + $3::bigint)
ON CONFLICT (name) DO UPDATE SET free_at = greatest(r.free_at, $2::bigint) + $3::bigint
WHERE r.free_at <= $2::bigint + $4::bigint
RETURNING free_at - $3::bigint
"""
_FREE_AT = "SELECT free_at FROM rates WHERE name = $1"


async def reserve(connection: Connection, name: str, cost: int, now: int, patience_ms: int) -> int:
    """Reserve `cost` microseconds of a rate unless it is free too late; return from when it is (unix ms)."""
    at = await connection.fetchval(_RESERVE, name, now * rate.MICROSECONDS, cost, patience_ms * rate.MICROSECONDS)
    if at is None:
        at = await connection.fetchval(_FREE_AT, name)
    return int(at) // rate.MICROSECONDS
