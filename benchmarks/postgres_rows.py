"""Rows for the benchmark of the PostgreSQL inbox: new deliveries, what became of them, and days that are over."""

from __future__ import annotations

import time

import asyncpg

from gateway.inbox.postgres_days import DAY_MS, first_key, make
from gateway.model import Attempt, Delivery, Lease, SentEvent, Settlement, State

DAYS = 7

# What a day of forwarded deliveries leaves: the same rows that the gateway writes, with ids in no order.
FILL = """
INSERT INTO entries SELECT $1 + n, 'source_' || n % 5, 'hmac', md5(($1 + n)::text), 'order.created',
  md5('trace' || ($1 + n)), $2 + n, NULL, $2 + 691200000 FROM generate_series(1, $3) n;
INSERT INTO dedupe SELECT 'source_' || n % 5, md5(($1 + n)::text), NULL, $1 + n, $2 + n, $2 + n + 691200000
FROM generate_series(1, $3) n;
INSERT INTO outcomes SELECT $1 + n, 'source_' || n % 5, 'forwarded', $2 + n, 1, 0, '', 0, NULL, $2 + n
FROM generate_series(1, $3) n;
INSERT INTO bodies SELECT $1 + n, convert_to(repeat('m', 250), 'UTF8'), convert_to(repeat('b', 500), 'UTF8'), NULL
FROM generate_series(1, $3) n;
INSERT INTO attempts SELECT $1 + n, 1, $2 + n, 12, 'accepted', 200, '' FROM generate_series(1, $3) n;
INSERT INTO events SELECT $1 + n, 1, 'acme:' || md5(($1 + n)::text), 'acme/order.created', md5('api' || ($1 + n))
FROM generate_series(1, $3) n;
"""


def delivery(number: int, size: int) -> Delivery:
    """Make a delivery with an id in no order and a body of so many bytes."""
    body = f'{{"id":"evt_{number}","padding":"'.encode().ljust(size - 2, b"x") + b'"}'
    trace = number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128
    return Delivery(
        source=f"source_{number % 5}", provider="hmac", id=f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}-{number}",
        type="order.created", received_at=time.time_ns() // 1_000_000, body=body, content=body,
        headers={"content-type": "application/json", "user-agent": "benchmark/1.0"},
        traceparent=f"00-{trace:032x}-b7ad6b7169203331-01",
    )  # fmt: skip


def forwarded(lease: Lease, now: int) -> tuple[Lease, Settlement]:
    """Settle as forwarded with one attempt and one event."""
    name = lease.entry.delivery.id
    attempt = Attempt(lease.attempt, now, 12, "accepted", 200)
    event = SentEvent(f"acme:{name}:order.created", "acme/order.created", f"01HX{name}")
    return lease, Settlement(State.FORWARDED, attempt=attempt, events=(event,))


async def fill(connection: asyncpg.Connection, today: int, number: int) -> None:
    """Fill the tables with so many forwarded deliveries of the last days."""
    await connection.execute("SET synchronous_commit TO off")
    async with connection.transaction():
        await make(connection, range(today - DAYS + 1, today))
    for day in range(today - DAYS + 1, today + 1):
        statement = FILL
        for name, value in {"$1": first_key(day) + (1 << 36), "$2": day * DAY_MS, "$3": number // DAYS}.items():
            statement = statement.replace(name, str(value))
        await connection.execute(statement)
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
