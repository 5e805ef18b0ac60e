"""A SQLite file and the schema that it is moved into, for tests of a move."""

import asyncio
from pathlib import Path

import asyncpg

from gateway.inbox.contract import Inbox
from gateway.inbox.moving.move import Moved, Plan, move, undo
from gateway.inbox.moving.source import Source
from gateway.inbox.moving.target import Target
from gateway.inbox.postgres import PostgresInbox
from gateway.inbox.sqlite import SqliteInbox
from tests import postgres_schemas
from tests.inbox.engines import DAY
from tests.inbox.lives import WINDOW, fill, today

TABLES = ("queue", "frozen", "outcomes", "entries", "bodies", "attempts", "events", "dedupe")


class Mover:
    """A file, the schema it is moved into, and a look at both."""

    def __init__(self, place: Path) -> None:
        self.file = place / "inbox.db"
        self.url, self.schema = postgres_schemas.of(place)
        self.connection: asyncpg.Connection
        self._opened: list[Inbox] = []

    def source(self) -> SqliteInbox:
        """Open the file to read it."""
        self._opened.append(opened := SqliteInbox.open(self.file, dedupe_window_ms=WINDOW, read_only=True))
        return opened

    def serve(self) -> SqliteInbox:
        """Open the file to serve it."""
        self._opened.append(opened := SqliteInbox.open(self.file, dedupe_window_ms=WINDOW))
        return opened

    async def target(self) -> PostgresInbox:
        """Open the tables as a gateway does, but with a retention that is exact."""
        opened = await PostgresInbox.open(self.url, schema=self.schema, dedupe_window_ms=WINDOW, slack_ms=0)
        self._opened.append(opened)
        return opened

    async def move(self, *, until: str = "", file: Path | None = None, name: str = "there") -> Moved | None:
        """Move the file, and stop as Ctrl-C does when something of this description begins."""
        source, stop = Source.open(file or self.file, WINDOW), asyncio.Event()
        try:
            target = await self.open()
            try:
                told = lambda what, _: stop.set() if what == until else None  # noqa: E731
                return await move(source, target, Plan(name, 7 * DAY, today()), progress=told, stop=stop)
            finally:
                await target.close()
        finally:
            source.close()

    async def undo(self, name: str = "there") -> int:
        """Give the move up; return how many deliveries went."""

        async def named() -> tuple[Target, str]:
            return await self.open(), name

        source = Source.open(self.file, WINDOW)
        try:
            return (await undo(source, named))[1]
        finally:
            source.close()

    async def open(self) -> Target:
        """Open the tables as a move does."""
        return await Target.open(self.url, self.schema, migrate=True)

    async def execute(self, statement: str) -> str:
        """Change tables past everybody."""
        return str(await self.connection.execute(f"SET search_path TO {self.schema}; {statement}"))

    async def sizes(self) -> dict[str, int]:
        """Return how many rows the tables have."""
        counted = "SELECT count(*) FROM {}.{}"
        return {table: await self.connection.fetchval(counted.format(self.schema, table)) for table in TABLES}

    async def leftovers(self) -> list[str]:
        """Return the tables of moves."""
        found = await self.connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r' "
            "AND relname LIKE 'move%'",
            self.schema,
        )
        return [name for (name,) in found]

    async def close(self) -> None:
        """Close everything."""
        for inbox in self._opened:
            await inbox.close()
        await self.connection.close()


async def copied(mover: Mover, now: int | None = None) -> None:
    """Fill the file with lives before `now` and copy it, and stop before anything is compared."""
    await fill(mover.file, now or today())
    await copy(mover)


async def copy(mover: Mover) -> None:
    """Copy the file, and stop before anything is compared."""
    assert await mover.move(until="copying") is None  # makes the tables
    source, target = Source.open(mover.file, WINDOW), await mover.open()
    mark = source.mark
    assert mark
    await target.copy(mark.move, source.batch(0))
    await target.close()
    source.close()
