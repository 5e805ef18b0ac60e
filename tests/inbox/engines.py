"""The engines that the contract suite runs against: a name, and how to open one that keeps its data in a place."""

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from gateway.inbox.contract import Inbox
from gateway.inbox.postgres import PostgresInbox
from gateway.inbox.sqlite import SqliteInbox
from tests import postgres_schemas

DAY = 86_400_000


async def open_sqlite(place: Path, dedupe_window_ms: int) -> Inbox:
    """Open a SQLite inbox; the same place holds the same entries again."""
    return SqliteInbox.open(place / "inbox.db", dedupe_window_ms=dedupe_window_ms)


async def open_postgres(place: Path, dedupe_window_ms: int) -> Inbox:
    """Open a PostgreSQL inbox, likewise.

    Its retention is exact here, row by row; in production what is left of a day waits, so that the day goes as a whole.
    """
    url, schema = postgres_schemas.of(place)
    return await PostgresInbox.open(url, schema=schema, dedupe_window_ms=dedupe_window_ms, slack_ms=0)


ENGINES: dict[str, Callable[[Path, int], Coroutine[Any, Any, Inbox]]] = {
    "sqlite": open_sqlite,
    "postgres": open_postgres,
}
