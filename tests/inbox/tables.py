"""A look at the tables of a PostgreSQL inbox past the inbox, and at what its statements read of them."""

import json
from pathlib import Path

import asyncpg

from gateway.inbox.contract import LEASED_BYTES
from gateway.inbox.postgres import _LEASE as _LEASE_TERMS
from gateway.inbox.postgres import PostgresInbox
from gateway.inbox.postgres_connections import Connection, Terms
from gateway.inbox.postgres_leases import _LEASE, LEAST_SHARE, Floors
from tests import postgres_schemas
from tests.inbox.engines import DAY
from tests.inbox.samples import LEASE


class Tables:
    """The schema of one test, and a look at it past the inbox."""

    def __init__(self, place: Path) -> None:
        self.url, self.schema = postgres_schemas.of(place)
        self.connection: asyncpg.Connection
        self._opened: list[PostgresInbox] = []

    async def open(self, *, migrate: bool = True) -> PostgresInbox:
        """Open the inbox as a gateway does, with the slack of production."""
        opened = await PostgresInbox.open(self.url, schema=self.schema, dedupe_window_ms=7 * DAY, migrate=migrate)
        self._opened.append(opened)
        return opened

    async def close(self) -> None:
        """Close everything."""
        for inbox in self._opened:
            await inbox.close()
        await self.connection.close()

    async def days(self, table: str) -> list[str]:
        """Return the days of which a table has partitions, in order."""
        found = await self.connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r' AND relname LIKE $2",
            self.schema,
            f"{table}\\_2%",
        )
        return sorted(name.removeprefix(f"{table}_") for (name,) in found)

    async def plan(self, statement: str, *values: object, terms: Terms) -> str:
        """Return the plan of a statement in a transaction as the inbox begins one."""
        await self.connection.execute(terms.begin(self.schema))
        lines = await self.connection.fetch(f"EXPLAIN {statement}", *values)
        await self.connection.execute("ROLLBACK")
        return "\n".join(line for (line,) in lines)

    async def pages(self, statement: str, *values: object, terms: Terms) -> int:
        """Return how many pages a statement would read in a transaction as the inbox begins one; it is undone."""
        await self.connection.execute(terms.begin(self.schema))
        plan = await self.connection.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", *values)
        await self.connection.execute("ROLLBACK")
        return int(json.loads(plan)[0]["Plan"]["Shared Hit Blocks"])

    async def cost(self, floors: Floors, now: int, limit: int = 9) -> int:
        """Return how many pages a lease from these floors would read."""
        limits = (floors.due, floors.leased, LEAST_SHARE, LEASED_BYTES)
        return await self.pages(_LEASE, limit, now, now + LEASE, "token", [], *limits, terms=_LEASE_TERMS)


async def look(inbox: PostgresInbox, now: int) -> None:
    """Let a gateway raise its floors, as it does every two seconds."""

    async def raise_floors(db: Connection) -> None:
        await inbox._floors.raise_(db, now)

    await inbox._others.run(raise_floors, Terms())
