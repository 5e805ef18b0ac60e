"""The days that keys belong to, and the partitions that hold the rows of one day each.

A key is a day and a number, so that every table that goes by keys is parted by days of receipt without another column:
what belongs to an entry lies in the partitions of its day, and retention drops a day's at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from gateway.inbox.postgres_connections import Connection

DAY_MS = 86_400_000
NUMBER_BITS = 38  # enough for 3,000,000 deliveries a second; day and number together stay below 2^53 until 2059
DAYS_AHEAD = 3

BODY_TABLES = ("bodies", "attempts", "events")
"""What goes with the bodies."""

ENTRY_TABLES = ("entries", "outcomes")
"""What stays for as long as the ids of the day are remembered."""

_FOUND = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = ANY(ARRAY['entries'::regclass, 'bodies'::regclass])
"""
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('webhook gateway days'), hashtext(current_schema()))"


def day_of(now: int) -> int:
    """Return the day of a time (unix milliseconds), counted from 1970."""
    return now // DAY_MS


def first_key(day: int) -> int:
    """Return the least key that belongs to a day."""
    return day << NUMBER_BITS


def partition(table: str, day: int) -> str:
    """Return the name of a table's partition for a day."""
    return f"{table}_{datetime.fromtimestamp(day * DAY_MS / 1000, UTC):%Y%m%d}"


async def existing(connection: Connection) -> tuple[set[int], set[int]]:
    """Return the days that have partitions for entries, and those that have them for bodies."""
    names = [name for (name,) in await connection.fetch(_FOUND)]
    return _days(names, "entries"), _days(names, "bodies")


async def make(connection: Connection, days: Iterable[int]) -> None:
    """Make the partitions of days that have none, or none for bodies any more; whoever else does so at once waits.

    A table that is made apart and then attached holds up nobody who reads or writes the others.
    """
    await connection.execute(_LOCK)
    entries, bodies = await existing(connection)
    for day in sorted(set(days) - (entries & bodies)):
        for table in (*(ENTRY_TABLES if day not in entries else ()), *(BODY_TABLES if day not in bodies else ())):
            name = partition(table, day)
            await connection.execute(
                f"CREATE TABLE {name} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE);"
                f"ALTER TABLE {table} ATTACH PARTITION {name} "
                f"FOR VALUES FROM ({first_key(day)}) TO ({first_key(day + 1)})"
            )


async def drop(connection: Connection, tables: Iterable[str], day: int) -> None:
    """Drop the partitions of a day; this waits for who uses the tables, as long as the transaction's lock timeout."""
    for table in tables:
        await connection.execute(f"DROP TABLE IF EXISTS {partition(table, day)}")


def _days(names: Iterable[str], table: str) -> set[int]:
    suffixes = [name.removeprefix(f"{table}_") for name in names if name.startswith(f"{table}_")]
    return {
        int(datetime.strptime(suffix, "%Y%m%d").replace(tzinfo=UTC).timestamp() * 1000) // DAY_MS for suffix in suffixes
    }
