"""The PostgreSQL inbox that is moved into, which gateways may be serving meanwhile.

A move has one table of its own there, with a row for each record that was copied: written in the transaction that
copies it, so it is the progress too; and gone when the move is done or given up.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from gateway.errors import InboxOutdated
from gateway.failpoints import failpoint
from gateway.inbox import postgres_schema
from gateway.inbox.moving.load import HELD_UNTIL, NOW, load
from gateway.inbox.moving.read_back import Found, read_back
from gateway.inbox.moving.record import UNFINISHED, Record
from gateway.inbox.moving.source import BATCH_ROWS, Counted
from gateway.inbox.postgres_connections import Connection, Connections, Terms
from gateway.inbox.postgres_rows import columns
from gateway.inbox.postgres_server import examine
from gateway.inbox.postgres_text import kept, told

PATIENCE_SECONDS = 10.0

_READ = Terms(statement_ms=60_000, read_only=True)
_WRITE = Terms(statement_ms=60_000, lock_ms=10_000)
_WHOLE = Terms(statement_ms=3_600_000, lock_ms=10_000)
_COUNT = Terms(statement_ms=3_600_000, read_only=True)

# The planner knows nothing of tables that are being filled, and would read all of them for each batch.
_BY_KEY = "; ".join(f"SET LOCAL enable_{way} TO off" for way in ("hashjoin", "mergejoin", "seqscan"))
_TABLE = "CREATE TABLE IF NOT EXISTS {table} (source_key bigint PRIMARY KEY, key bigint, claimed boolean NOT NULL)"
_EXISTS = "SELECT to_regclass($1) IS NOT NULL"
_PROGRESS = "SELECT coalesce(max(source_key), 0), count(*) FROM {table}"
_COPIED = "SELECT source_key, key, claimed FROM {table} WHERE source_key > $1 AND source_key <= $2"
_COUNTS = f"""
SELECT e.source, coalesce(o.state, '{UNFINISHED}'), count(*)
FROM {{table}} m JOIN entries e ON e.key = m.key LEFT JOIN outcomes o ON o.key = m.key
LEFT JOIN queue q ON q.key = m.key WHERE o.key IS NOT NULL OR q.key IS NOT NULL GROUP BY 1, 2
"""  # noqa: S608 - a constant
# Those of frozen batches are in no index by their lease, and are few.
_RELEASE = "UPDATE queue SET lease = NULL, leased_until = NULL WHERE lease = $1 AND leased_until = $2"
_REACHED = "UPDATE timeline SET reached = $1 WHERE id = 1 AND reached < $1"
_USED = """
INSERT INTO secret_uses AS u (day, source, label, uses, last_at)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
ON CONFLICT (day, source, label) DO UPDATE
SET uses = u.uses + excluded.uses, last_at = greatest(u.last_at, excluded.last_at)
"""
_SOME = f"SELECT source_key, key FROM {{table}} ORDER BY source_key LIMIT {BATCH_ROWS}"  # noqa: S608 - a number
# The queue first, as in a settlement.
_TABLES = ("queue", "frozen", "outcomes", "entries", "bodies", "attempts", "events")
_FORGET_CLAIMS = "DELETE FROM dedupe d USING {table} m WHERE d.key = m.key"


class Target:
    """The tables of one inbox, and what one move has in them. Everything raises InboxUnavailable."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    @classmethod
    async def open(cls, url: str, schema: str, *, migrate: bool) -> Target:
        """Connect, and make or upgrade the tables unless told not to.

        Raises InboxUnsupported where server or tables cannot be used, InboxOutdated where these are not made.
        """
        target = cls(Connections(url, schema, size=2, patience=PATIENCE_SECONDS))
        try:
            await target._connections.open()
            await target._connections.run(examine, _READ)
            if migrate:
                await postgres_schema.migrate(target._connections)
            await postgres_schema.require(target._connections)
        except BaseException:
            await target.close()
            raise
        return target

    async def close(self) -> None:
        """Release the connections."""
        await self._connections.close()

    async def now(self) -> int:
        """Return the time (unix ms) that the gateways of these tables go by."""
        return int(await self._connections.run(lambda db: db.fetchval(NOW), _READ))

    async def knows(self, move: str) -> bool:
        """Tell whether a move was begun here and is neither done nor given up."""
        return bool(await self._connections.run(lambda db: db.fetchval(_EXISTS, _table(move)), _READ))

    async def begin(self, move: str) -> None:
        """Make the table of a move, where it is not there."""
        await self._connections.run(lambda db: db.execute(_TABLE.format(table=_table(move))), _WRITE)

    async def progress(self, move: str) -> tuple[int, int]:
        """Return the last key of the source that was copied, and how many were."""
        statement = _PROGRESS.format(table=_table(move))
        last, number = await self._connections.run(lambda db: db.fetchrow(statement), _COUNT)
        return int(last), int(number)

    async def copy(self, move: str, records: Sequence[Record]) -> None:
        """Copy records and note that, in one transaction."""

        async def work(db: Connection) -> None:
            await db.execute(_BY_KEY)
            copied = [(one.record.key, one.key, one.claimed) for one in await load(db, records, _holder(move))]
            names = ["source_key", "key", "claimed"]
            await db.copy_records_to_table(_table(move), records=copied, columns=names)
            failpoint("before_commit")

        await self._connections.run(work, _WRITE)
        failpoint("after_commit")

    async def found(self, move: str, after: int, last: int) -> dict[int, Found]:
        """Return what is here of the records with keys of the source in (after, last], by those keys."""
        statement = _COPIED.format(table=_table(move))

        async def work(db: Connection) -> dict[int, Found]:
            await db.execute(_BY_KEY)
            copied = await db.fetch(statement, after, last)
            return await read_back(db, copied, _holder(move))

        return await self._connections.run(work, _READ)

    async def counts(self, move: str) -> Counted:
        """Count the entries that were copied."""
        counted: Counted = {}
        statement = _COUNTS.format(table=_table(move))
        for source, state, number in await self._connections.run(lambda db: db.fetch(statement), _COUNT):
            counted.setdefault(told(source), {})[state] = number
        return counted

    async def finish(self, move: str, reached: int, secret_uses: Sequence[tuple[Any, ...]]) -> None:
        """Let the gateways have what is held, note how far time had come and what secrets did, and forget the move."""
        uses = [(day, kept(source), kept(label), number, at) for day, source, label, number, at in secret_uses]

        async def work(db: Connection) -> None:
            await db.execute(_RELEASE, _holder(move), HELD_UNTIL)
            await db.execute(_REACHED, reached)
            await db.execute(_USED, *columns(uses, 5))
            await db.execute(f"DROP TABLE {_table(move)}")

        await self._connections.run(work, _WHOLE)

    async def give_up(self, move: str) -> int:
        """Delete what was copied, step by step, and forget the move; return how many entries went."""
        # All at once, as claims are in no index by their keys.
        await self._connections.run(lambda db: db.execute(_FORGET_CLAIMS.format(table=_table(move))), _WHOLE)
        gone = 0
        while step := await self._connections.run(lambda db: _delete_some(db, move), _WRITE):
            gone += step
        await self._connections.run(lambda db: db.execute(f"DROP TABLE {_table(move)}"), _WRITE)
        return gone


async def reach(url: str, schema: str) -> None:
    """Connect and look whether server and tables, where there are any, can be used; change nothing."""
    connections = Connections(url, schema, size=1, patience=PATIENCE_SECONDS)
    try:
        await connections.open()
        await connections.run(examine, _READ)
        with contextlib.suppress(InboxOutdated):
            await postgres_schema.require(connections)
    finally:
        await connections.close()


async def _delete_some(db: Connection, move: str) -> int:
    await db.execute(_BY_KEY)
    some = await db.fetch(_SOME.format(table=_table(move)))
    keys = [key for _, key in some if key is not None]
    for table in _TABLES:
        await db.execute(f"DELETE FROM {table} WHERE key = ANY ($1::bigint[])", keys)  # noqa: S608 - our own names
    done = [source_key for source_key, _ in some]
    await db.execute(f"DELETE FROM {_table(move)} WHERE source_key = ANY ($1::bigint[])", done)  # noqa: S608 - as above
    return len(some)


def _table(move: str) -> str:
    return f"move_{move}"


def _holder(move: str) -> str:
    return f"move {move}"
