"""What the benchmark of the PostgreSQL inbox does to one: batches as fast as they go, and a steady load."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import asyncpg

from benchmarks.postgres_rows import delivery, forwarded
from gateway.inbox.postgres import PostgresInbox
from gateway.inbox.postgres_days import BODY_TABLES, DAY_MS, ENTRY_TABLES
from gateway.inbox.postgres_intake import GROUP_LIMIT
from gateway.model import Delivery, Lease
from tests.postgres_server import PostgresServer

MOST_LEASED = 1_000  # of the default event_api.max_batch_events
WORKERS = 2
LEASE_MS = 120_000  # of the default event_api.timeout_seconds
HTTP_SECONDS = 0.02
IDLE_SECONDS = 0.02
TICK_SECONDS = 0.005
ALL_TABLES = ", ".join((*ENTRY_TABLES, *BODY_TABLES, "queue", "dedupe"))


def server_seconds(server: PostgresServer) -> float:
    """Return the CPU time that the processes of a server have used."""
    total = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().rpartition(")")
        except OSError:
            continue
        fields = rest.split()
        if name.endswith("(postgres") and server.pid in (int(name.split()[0]), int(fields[1])):
            total += sum(map(int, fields[11:15]))
    return total / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Measured:
    """One step of one round: rows a second, and for each row microseconds of CPU of both sides and bytes of WAL."""

    rate: float
    gateway_us: float
    server_us: float
    wal_bytes: float


@dataclass(frozen=True, slots=True)
class Loaded:
    """A steady load: the seconds that each put and each lease took, in order, and the server's CPU-µs a delivery."""

    putting: list[float]
    leasing: list[float]
    server_us: float


class Bench:
    """The tables of one schema of a server, and the inboxes of so many gateways on it."""

    def __init__(
        self, server: PostgresServer, own: asyncpg.Connection, inboxes: list[PostgresInbox], size: int
    ) -> None:
        self.inboxes = inboxes
        self.own = own
        self._server = server
        self._size = size
        self._numbers = count(1)

    @classmethod
    async def open(cls, server: PostgresServer, size: int, schema: str) -> Bench:
        """Make the tables and open the inboxes; each has the ids that it will put to itself."""
        opening = (PostgresInbox.open(server.dsn, dedupe_window_ms=8 * DAY_MS, schema=schema) for _ in range(WORKERS))
        inboxes = [await inbox for inbox in opening]
        return cls(server, await asyncpg.connect(server.dsn, server_settings={"search_path": schema}), inboxes, size)

    async def close(self) -> None:
        """Close everything."""
        for inbox in self.inboxes:
            await inbox.close()
        await self.own.close()

    def make(self, number: int) -> list[Delivery]:
        """Make so many new deliveries."""
        return [delivery(next(self._numbers), self._size) for _ in range(number)]

    async def measure(self, number: int) -> tuple[Measured, ...]:
        """Put, lease and settle so many deliveries, in batches of the largest size."""
        sent = [self.make(GROUP_LIMIT) for _ in range(number // GROUP_LIMIT)]
        held: list[list[Lease]] = []

        async def put(inbox: PostgresInbox) -> int:
            return len(await inbox.put(sent.pop(), inbox.time())) if sent else 0

        async def lease(inbox: PostgresInbox) -> int:
            leases = await inbox.lease(MOST_LEASED, LEASE_MS, inbox.time())
            held.extend([leases] if leases else [])
            return len(leases)

        async def settle(inbox: PostgresInbox) -> int:
            return len(await inbox.settle(settled.pop(), inbox.time())) if settled else 0

        measured = [await self._timed(work) for work in (put, lease)]
        settled = [[forwarded(one, self.inboxes[0].time()) for one in leases] for leases in held]
        return (*measured, await self._timed(settle))

    async def _timed(self, work: Callable[[PostgresInbox], Awaitable[int]]) -> Measured:
        """Run `work` on each inbox until it returns 0."""
        wal, cpu, rows = await self._wal(), server_seconds(self._server), 0

        async def go(inbox: PostgresInbox) -> None:
            nonlocal rows
            while done := await work(inbox):
                rows += done

        own, begun = time.process_time(), time.perf_counter()
        await asyncio.gather(*map(go, self.inboxes))
        seconds, own = time.perf_counter() - begun, time.process_time() - own
        each = 1e6 / rows
        wal = await self._wal() - wal
        return Measured(rows / seconds, own * each, (server_seconds(self._server) - cpu) * each, wal / rows)

    async def _wal(self) -> int:
        return int(await self.own.fetchval("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"))

    async def empty(self) -> None:
        """Empty the tables."""
        await self.own.execute(f"TRUNCATE {ALL_TABLES}")

    async def load(self, seconds: float, rate: int) -> Loaded:
        """Put deliveries one by one at a steady rate, as webhooks come, and forward them, as gateways do."""
        putting: list[float] = []
        leasing: list[float] = []
        begun = time.monotonic()

        async def webhook(one: Delivery, inbox: PostgresInbox) -> None:
            asked = time.perf_counter()
            await inbox.put([one], inbox.time())
            putting.append(time.perf_counter() - asked)

        async def put() -> None:
            sent = 0
            async with asyncio.TaskGroup() as webhooks:
                while (elapsed := time.monotonic() - begun) < seconds:
                    for one in self.make(int(elapsed * rate) - sent):
                        sent += 1
                        webhooks.create_task(webhook(one, self.inboxes[sent % WORKERS]))
                    await asyncio.sleep(TICK_SECONDS)

        async def forward(inbox: PostgresInbox) -> None:
            while time.monotonic() - begun < seconds:
                asked = time.perf_counter()
                leases = await inbox.lease(MOST_LEASED, LEASE_MS, inbox.time())
                leasing.append(time.perf_counter() - asked)
                await asyncio.sleep(HTTP_SECONDS if leases else IDLE_SECONDS)
                now = inbox.time()
                await inbox.settle([forwarded(one, now) for one in leases], now)

        cpu = server_seconds(self._server)
        await asyncio.gather(put(), *map(forward, self.inboxes))
        return Loaded(putting, leasing, (server_seconds(self._server) - cpu) / len(putting) * 1e6)

    async def pinned(self, seconds: float, rate: int) -> Loaded:
        """Load the tables while an open transaction keeps every row that was."""
        pin = self.own.transaction(isolation="repeatable_read")
        await pin.start()
        await self.own.execute("SELECT count(*) FROM queue")
        loaded = await self.load(seconds, rate)
        await pin.rollback()
        return loaded
