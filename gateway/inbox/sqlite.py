"""The inbox in one SQLite file: one thread writes it, one thread reads it, one process serves it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import apsw

from gateway.errors import InboxError, InboxUnavailable, LeaseLost
from gateway.inbox import sqlite_leases, sqlite_search, sqlite_writes
from gateway.inbox.lock import ServingLock
from gateway.inbox.sqlite_connection import open_reader, open_writer, refusals, require_safe_library
from gateway.inbox.sqlite_reader import Reader
from gateway.inbox.sqlite_writer import Writer
from gateway.model import Counts, Delivery, History, Lease, Query, Receipt, Replayed, ReplayMode, Settlement

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Serving:
    """What only the serving process has."""

    lock: ServingLock
    connection: apsw.Connection
    writer: Writer


class SqliteInbox:
    """The engine for one gateway on one machine; gateway/inbox/contract.py says what the methods promise."""

    def __init__(self, reader: Reader, serving: _Serving | None, *, dedupe_window_ms: int, max_waiting: int) -> None:
        self._reader = reader
        self._serving = serving
        self._dedupe_window_ms = dedupe_window_ms
        self._max_waiting = max_waiting
        self._closed = False

    @classmethod
    def open(
        cls, path: Path, *, dedupe_window_ms: int, read_only: bool = False, max_waiting: int = 10_000
    ) -> SqliteInbox:
        """Open the inbox file at `path`, making or upgrading it; blocks, and needs no running loop.

        Leases of an earlier process are void, so that what it left is due at once.
        With `read_only` the file may be served by another process: search, get and counts work, and nothing is
        written or checkpointed. Beyond `max_waiting` operations in the queue, put refuses at once. Raises InboxLocked
        when another process serves the file, InboxUnsupported when the file, its place or SQLite cannot be used.
        """
        require_safe_library(apsw.sqlite_lib_version())
        path = path.resolve()  # one lock for a file and the links to it
        with contextlib.ExitStack() as undo:
            serving = None if read_only else _serve(path, undo)
            reader = Reader(open_reader(path))
            undo.pop_all()
        return cls(reader, serving, dedupe_window_ms=dedupe_window_ms, max_waiting=max_waiting)

    @property
    def failure(self) -> InboxError | None:
        """Why nothing is accepted any more: set for ever by the first I/O error, after which the process should end."""
        return self._serving.writer.failure if self._serving else None

    async def put(self, deliveries: Sequence[Delivery], now: int) -> list[Receipt]:
        """Keep deliveries; durable before it returns."""
        window_ms = self._dedupe_window_ms
        return await self._write(
            lambda db: sqlite_writes.put(db, deliveries, now, window_ms), max_waiting=self._max_waiting
        )

    async def lease(
        self, limit: int, duration_ms: int, now: int, exclude: Collection[str] = frozenset()
    ) -> list[Lease]:
        """Lease due entries, oldest first, or one frozen batch."""
        token, until = secrets.token_hex(16), now + duration_ms
        keys = await self._write(lambda db: sqlite_leases.lease(db, limit, until, now, token, exclude=exclude))
        if not keys:
            return []
        entries = await self._reader.run(lambda db: sqlite_search.entries(db, keys))
        return [Lease(entry, token, until) for entry in entries]

    async def settle(self, settlements: Sequence[tuple[Lease, Settlement]], now: int) -> list[LeaseLost | None]:
        """Record what became of leased entries."""
        return await self._write(lambda db: sqlite_leases.settle(db, settlements, now))

    async def search(self, query: Query) -> list[History]:
        """Find entries, newest first, without their bodies."""
        return await self._reader.run(lambda db: sqlite_search.search(db, query))

    async def get(self, key: int) -> History | None:
        """Return the life of one entry with its body, or None."""
        return await self._reader.run(lambda db: sqlite_search.get(db, key))

    async def counts(self) -> Counts:
        """Count entries by source and state."""
        return await self._reader.run(sqlite_search.counts)

    async def count(self, query: Query) -> int:
        """Count the entries that a replay of `query` would take."""
        return await self._reader.run(lambda db: sqlite_search.count(db, query))

    async def replay(self, query: Query, mode: ReplayMode, now: int) -> Replayed:
        """Make one step's settled entries pending again; the reader looks for them, so that no commit waits."""
        keys = await self._reader.run(lambda db: sqlite_search.replayable(db, query))
        replayed = await self._write(lambda db: sqlite_writes.replay(db, keys, query, mode, now))
        return Replayed(replayed, keys[-1] if keys else query.after)

    async def prune(self, bodies_before: int, ids_before: int, limit: int = 1_000) -> int:
        """Take one step of retention; an entry without its body stays until its id goes too."""
        return await self._write(lambda db: sqlite_writes.prune(db, bodies_before, ids_before, limit))

    async def close(self) -> None:
        """Finish what was accepted and release the file; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._reader.stop_accepting()
        if self._serving:
            self._serving.writer.stop_accepting()
        await asyncio.to_thread(self._release)

    async def _write(self, operation: Callable[[apsw.Connection], T], *, max_waiting: int | None = None) -> T:
        if self._serving is None:
            raise InboxUnavailable("the inbox was opened for reading only; the process that serves it can change it")
        return await self._serving.writer.run(operation, max_waiting=max_waiting)

    def _release(self) -> None:
        """Close the writer's connection last, so that it is the one that empties the WAL into the file."""
        if self._serving:
            self._serving.writer.join()
        self._reader.close()
        if self._serving:
            with contextlib.suppress(apsw.Error):  # what was committed is safe in the WAL
                self._serving.connection.close()
            self._serving.lock.release()


def _serve(path: Path, undo: contextlib.ExitStack) -> _Serving:
    lock = ServingLock.acquire(path)
    undo.callback(lock.release)
    connection = open_writer(path)
    undo.callback(connection.close)
    with refusals(path):
        sqlite_leases.release(connection)
    writer = Writer(connection)
    undo.callback(writer.join)
    undo.callback(writer.stop_accepting)
    return _Serving(lock, connection, writer)
