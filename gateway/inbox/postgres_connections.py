"""A bounded pool of connections to PostgreSQL, and transactions on them that keep no state in a session.

Every setting is local to its transaction and no statement is prepared beyond it, so that a pooler in transaction mode
may stand in between. https://www.pgbouncer.org/features.html
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg

from gateway.errors import InboxUnavailable
from gateway.inbox.postgres_faults import DRIVER_ERRORS, is_about_values, is_passing, is_read_only, unavailable

CONNECT_SECONDS = 5.0
# Beyond what the server allows a statement, so that it is the server who ends one.
MARGIN_SECONDS = 2.0
# Whoever holds a transaction and does nothing is dead or stopped, and others wait for its rows.
IDLE_MS = 1_000
LOCK_MS = 2_000
TRIES = 3
APPLICATION = "webhook-gateway"
_BY_KEY = ";SET LOCAL enable_seqscan TO off"

Connection = Any
"""A connection of asyncpg; only its fetch, fetchrow, fetchval, execute and copy_records_to_table are used elsewhere."""

T = TypeVar("T")
Work = Callable[[Connection], Awaitable[T]]


@dataclass(frozen=True, slots=True)
class Terms:
    """How a transaction is run; what is not `durable` may be undone by a crash of the server, with all later such.

    One that goes `by_key` reads no table as a whole: the planner, who knows nothing of one that was filled a moment ago
    and little of one that is emptied all the time, would sometimes rather do so.
    """

    statement_ms: int = 10_000
    durable: bool = True
    read_only: bool = False
    lock_ms: int = LOCK_MS
    by_key: bool = False

    def begin(self, schema: str) -> str:
        """Return the statements that begin the transaction; JIT costs more than such short statements take."""
        return (
            f"BEGIN ISOLATION LEVEL READ COMMITTED {'READ ONLY' if self.read_only else 'READ WRITE'};"
            f'SET LOCAL search_path TO "{schema}";'
            f"SET LOCAL synchronous_commit TO {'on' if self.durable else 'off'};"
            f"SET LOCAL statement_timeout TO {self.statement_ms};"
            f"SET LOCAL lock_timeout TO {self.lock_ms};"
            f"SET LOCAL idle_in_transaction_session_timeout TO {IDLE_MS};"
            "SET LOCAL jit TO off"
            f"{_BY_KEY if self.by_key else ''}"
        )


class _Undone(Exception):
    """A transaction failed for a passing reason, and nothing of it was committed."""


class Connections:
    """At most `size` connections; who gets none within `patience` seconds is refused. All users belong to one loop."""

    def __init__(self, url: str, schema: str, *, size: int, patience: float) -> None:
        self.schema = schema
        self._url = url
        self._size = size
        self._patience = patience
        self._pool: asyncpg.Pool[asyncpg.Record] | None = None

    async def open(self) -> None:
        """Make the first connection. Raises InboxUnavailable."""
        try:
            self._pool = await asyncpg.create_pool(
                self._url,
                min_size=1,
                max_size=self._size,
                max_inactive_connection_lifetime=60,
                timeout=CONNECT_SECONDS,
                statement_cache_size=0,
                reset=_leave_as_it_is,
                server_settings={"application_name": APPLICATION},
            )
        except (*DRIVER_ERRORS, ValueError) as error:
            raise unavailable(error) from error

    async def close(self) -> None:
        """Wait a moment for what is under way, then cut it."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._pool.close()
        except (TimeoutError, *DRIVER_ERRORS):
            self._pool.terminate()

    async def run(self, work: Work[T], terms: Terms) -> T:
        """Do `work` in a transaction and return its result when it is committed.

        It is done again, from its beginning, where it failed for a passing reason before its COMMIT was sent. Raises
        InboxUnavailable; where the connection broke at the COMMIT it may be committed all the same. Raises ValueError
        where the server is well and a value cannot be kept.
        """
        for _ in range(TRIES - 1):
            try:
                return await self._once(work, terms)
            except _Undone:
                continue
        try:
            return await self._once(work, terms)
        except _Undone as error:
            raise unavailable(error.__cause__ or error) from error.__cause__

    async def _once(self, work: Work[T], terms: Terms) -> T:
        if self._pool is None or self._pool.is_closing():
            raise InboxUnavailable("the inbox is closed; this process is about to end")
        connection = await self._acquire(self._pool)
        try:
            return await self._transact(connection, work, terms)
        finally:
            await asyncio.shield(self._pool.release(connection))

    async def _acquire(self, pool: asyncpg.Pool[asyncpg.Record]) -> Connection:
        try:
            return await pool.acquire(timeout=self._patience)
        except TimeoutError as error:
            raise InboxUnavailable(
                f"none of the inbox's {self._size} connections to PostgreSQL became free within {self._patience:g} s; "
                "it is slow or too busy"
            ) from error
        except DRIVER_ERRORS as error:
            raise unavailable(error) from error

    async def _transact(self, connection: Connection, work: Work[T], terms: Terms) -> T:
        committing = False
        try:
            async with asyncio.timeout(terms.statement_ms / 1_000 + MARGIN_SECONDS):
                await connection.execute(terms.begin(self.schema))
                result = await work(connection)
                committing = True
                await _commit(connection)
        except DRIVER_ERRORS as error:
            _terminate(connection)
            if is_read_only(error) and self._pool:
                await self._pool.expire_connections()
            if not committing and is_passing(error):
                raise _Undone from error
            if is_about_values(error):
                raise ValueError("PostgreSQL cannot keep a value as it is") from error
            raise unavailable(error) from error
        except BaseException:
            _terminate(connection)
            raise
        return result


async def _commit(connection: Connection) -> None:
    """Commit, and take a warning for a failure.

    A COMMIT whose wait for the synchronous standby is cut short succeeds with a warning, although a failover would lose
    it. https://www.postgresql.org/docs/current/warm-standby.html#SYNCHRONOUS-REPLICATION
    """
    warnings: list[asyncpg.PostgresLogMessage] = []

    def note(_: Any, message: asyncpg.PostgresLogMessage) -> None:
        warnings.append(message)

    connection.add_log_listener(note)
    try:
        status = await connection.execute("COMMIT")
    finally:
        with contextlib.suppress(asyncpg.InterfaceError):
            connection.remove_log_listener(note)
    if status != "COMMIT":
        raise InboxUnavailable("PostgreSQL undid the transaction in place of committing it")
    if warnings:
        raise InboxUnavailable(f"PostgreSQL committed with a warning: {warnings[0].message}")


def _terminate(connection: Connection) -> None:
    """Cut a connection, which undoes its transaction; one that broke is no longer the pool's, and says so."""
    with contextlib.suppress(asyncpg.InterfaceError):
        connection.terminate()


async def _leave_as_it_is(_: Any) -> None:
    """Reset nothing when a connection is given back, as a transaction leaves nothing in its session."""
