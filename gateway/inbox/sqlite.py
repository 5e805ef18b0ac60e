"""The inbox in one SQLite file: one thread writes it, two read it, one process serves it."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import apsw

from gateway.errors import InboxError, InboxUnavailable, LeaseLost
from gateway.history import Activity, Counts, History, NamesSeen, Query, Replayed
from gateway.inbox import (
    rate,
    sqlite_activity,
    sqlite_leases,
    sqlite_search,
    sqlite_walk,
    sqlite_writes,
)
from gateway.inbox.contract import Taker
from gateway.inbox.disk_space import Space, SpaceGauge, measure
from gateway.inbox.intake import Bounds, size_of
from gateway.inbox.sqlite_connection import library_version, open_beside, open_reader, require_safe_library
from gateway.inbox.sqlite_faults import refusals
from gateway.inbox.sqlite_opening import Opened, open_serving
from gateway.inbox.sqlite_put import Put
from gateway.inbox.sqlite_reader import Reader
from gateway.inbox.sqlite_settle import Settle
from gateway.inbox.sqlite_wal import wal_bytes
from gateway.inbox.sqlite_writer import Writer
from gateway.model import Delivery, Entry, Lease, Receipt, ReplayMode, Settlement

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Serving:
    """What only the serving process has."""

    opened: Opened
    writer: Writer
    bodies: Reader  # of leased entries, so that no search holds up the forwarder
    gauge: SpaceGauge

    @property
    def failure(self) -> InboxError | None:
        """What ended the service on any of the threads."""
        return self.writer.failure or self.bodies.failure


class SqliteInbox:
    """The engine for one gateway on one machine; gateway/inbox/contract.py says what the methods promise."""

    def __init__(self, path: Path, reader: Reader, serving: _Serving | None, *, dedupe_window_ms: int) -> None:
        self._path = path
        self._reader = reader
        self._serving = serving
        self._dedupe_window_ms = dedupe_window_ms
        self._closed = False
        self._rates: dict[str, int] = {}
        self._taker: Taker | None = None
        self._token = secrets.token_hex(16)  # of all entries handed over, each of which is leased so once

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        dedupe_window_ms: int,
        read_only: bool = False,
        bounds: Bounds | None = None,
        measured: Callable[[Path], Space] = measure,
        clock: Callable[[], float] = time.monotonic,
        on_commit: Callable[[float, int], None] = lambda _seconds, _operations: None,
    ) -> SqliteInbox:
        """Open the inbox file at `path`, making or upgrading it; blocks, and needs no running loop.

        Leases of an earlier process are void, so that what it left is due at once. A damaged file is kept aside, and
        a fresh one serves: `alarms` says so. With `read_only` the file may be served by another process: search, get
        and counts work, and nothing is written or checkpointed. Beyond `bounds` put refuses at once; `measured` tells
        the space of the disk and `clock` monotonic seconds. `on_commit` is told, on the writing thread, how many
        seconds a commit took and how many operations shared it. Raises InboxLocked when another process serves the
        file, InboxUnsupported when the file, its place or SQLite cannot be used.
        """
        require_safe_library(library_version())
        path = path.resolve()  # one lock for a file and the links to it
        if read_only:
            return cls(path, Reader(open_reader(path)), None, dedupe_window_ms=dedupe_window_ms)
        with contextlib.ExitStack() as undo:
            opened = open_serving(path, dedupe_window_ms)
            undo.callback(opened.lock.release)
            undo.callback(opened.connection.close)
            with refusals(path):
                gauge = SpaceGauge(lambda: measured(path.parent), clock)
            reader, bodies = (Reader(open_reader(path), on_damage=opened.lock.mark_damage) for _ in range(2))
            writer = Writer(
                opened.connection,
                open_beside(path),
                opened.lock,
                bounds=bounds or Bounds(),
                gauge=gauge,
                clock=clock,
                on_commit=on_commit,
            )
            undo.pop_all()
        return cls(path, reader, _Serving(opened, writer, bodies, gauge), dedupe_window_ms=dedupe_window_ms)

    @property
    def kept_aside(self) -> Path | None:
        """Where the file went that was found damaged when this one was opened in its place."""
        return self._serving.opened.kept_aside if self._serving else None

    @property
    def alarms(self) -> tuple[str, ...]:
        """What was found wrong when the file was opened, a sentence each for the operator to read at once."""
        return self._serving.opened.alarms if self._serving else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing: a file is on the disk when a put returns."""
        return ()

    @property
    def time(self) -> Callable[[], int] | None:
        """None: the one gateway's clock tells the time."""
        return None

    @property
    def reached(self) -> int:
        """The latest time (unix ms) that the file was told before it was opened, 0 for a new one."""
        return self._serving.opened.reached if self._serving else 0

    @property
    def space(self) -> Space:
        """The space of the disk; while serving, as it was a second ago."""
        return self._serving.gauge.space if self._serving else measure(self._path.parent)

    @property
    def wal_bytes(self) -> int:
        """The size of the WAL, which grows while a reader holds it."""
        return wal_bytes(self._path)

    @property
    def failure(self) -> InboxError | None:
        """Why nothing is accepted any more: set for ever by the first I/O error, after which the process should end."""
        return self._serving.failure or self._reader.failure if self._serving else None

    async def put(
        self, deliveries: Sequence[Delivery], now: int, window_ms: int | None = None, *, count_secrets: bool = False
    ) -> list[Receipt]:
        """Keep deliveries; durable before it returns."""
        writer, until = self._writing(), now + (window_ms or self._dedupe_window_ms)
        lease_ms = self._taker.expect(deliveries) if self._taker is not None else 0
        if lease_ms:
            put = Put(deliveries, now, until, count_secrets, self._taker, self._token, now + lease_ms)
        else:
            put = Put(deliveries, now, until, count_secrets)
        try:
            future = writer.run(put, now, intake=sum(map(size_of, deliveries)))
        except InboxUnavailable:
            put.hand_over(())
            raise
        return await future

    def hand_over_to(self, taker: Taker | None) -> bool:
        """Let a forwarder take entries as they are kept."""
        self._taker = taker
        return True

    async def lease(
        self, limit: int, duration_ms: int, now: int, exclude: Collection[str] = frozenset()
    ) -> list[Lease]:
        """Lease due entries, oldest first, or one frozen batch."""
        token, until = secrets.token_hex(16), now + duration_ms
        keys = await self._write(lambda db: sqlite_leases.lease(db, limit, until, now, token, exclude=exclude), now)
        if not keys or not self._serving:
            return []
        entries = await self._serving.bodies.run(lambda db: sqlite_search.entries(db, keys))
        return [Lease(entry, token, until) for entry in entries]

    async def settle(self, settlements: Sequence[tuple[Lease, Settlement]], now: int) -> list[LeaseLost | None]:
        """Record what became of leased entries."""
        return await self._writing().run(Settle(settlements, now), now)

    async def search(self, query: Query) -> list[History]:
        """Find entries, newest first, without their bodies."""
        return await self._reader.run(lambda db: sqlite_search.search(db, query))

    async def get(self, key: int) -> History | None:
        """Return the life of one entry with its body, or None."""
        return await self._reader.run(lambda db: sqlite_search.get(db, key))

    async def stored(self, query: Query) -> list[Entry]:
        """Return the next entries that match and have their body, with it."""
        return await self._reader.run(lambda db: sqlite_walk.stored(db, query))

    async def count_stored(self, query: Query) -> int:
        """Count the entries that match and have their body."""
        return await self._reader.run(lambda db: sqlite_walk.count_stored(db, query))

    async def event_names(self, source: str, after: int, limit: int) -> NamesSeen:
        """Return the names of the events of the next entries."""
        return await self._reader.run(lambda db: sqlite_walk.event_names(db, source, after, limit))

    async def counts(self) -> Counts:
        """Count entries by source and state."""
        return await self._reader.run(sqlite_search.counts)

    async def activity(self, since: int, limit: int) -> Activity:
        """Tell what was received and settled lately, and what waits."""
        return await self._reader.run(lambda db: sqlite_activity.activity(db, since, limit))

    async def count(self, query: Query) -> int:
        """Count the entries that a replay of `query` would take."""
        return await self._reader.run(lambda db: sqlite_search.count(db, query))

    async def replay(self, query: Query, mode: ReplayMode, now: int) -> Replayed:
        """Make one step's settled entries pending again; the reader looks for them, so that no commit waits."""
        keys = await self._reader.run(lambda db: sqlite_search.replayable(db, query))
        replayed = await self._write(lambda db: sqlite_writes.replay(db, keys, query, mode, now), now)
        return Replayed(replayed, keys[-1] if keys else query.after)

    async def reserve(self, name: str, count: int, per_second: float, now: int, patience_ms: int) -> int:
        """Reserve a share of a rate, which this one gateway keeps in memory."""
        at = rate.begins(self._rates.get(name, 0), now)
        if at <= (now + patience_ms) * rate.MICROSECONDS:
            self._rates[name] = at + rate.cost(count, per_second)
        return at // rate.MICROSECONDS

    async def prune(self, bodies_before: int, now: int, limit: int = 1_000) -> int:
        """Take one step of retention; an entry without its body stays until its window ends."""
        return await self._write(lambda db: sqlite_writes.prune(db, bodies_before, now, limit))

    async def close(self) -> None:
        """Finish what was accepted and release the file; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._reader.stop_accepting()
        if self._serving:
            self._serving.writer.stop_accepting()
            self._serving.bodies.stop_accepting()
        await asyncio.to_thread(self._release)

    async def _write(self, operation: Callable[[apsw.Connection], T], now: int = 0) -> T:
        return await self._writing().run(operation, now)

    def _writing(self) -> Writer:
        """Return the writer. Raises InboxUnavailable where there is none, or a thread has ended the service."""
        if self._serving is None:
            raise InboxUnavailable("the inbox was opened for reading only; the process that serves it can change it")
        if failure := self.failure:
            raise InboxUnavailable(str(failure))
        return self._serving.writer

    def _release(self) -> None:
        """Close the writer's connection last, so that it is the one that empties the WAL into the file."""
        if self._serving:
            self._serving.writer.join()
            self._serving.bodies.close()
        self._reader.close()
        if self._serving:
            with contextlib.suppress(apsw.Error):  # what was committed is safe in the WAL
                self._serving.opened.connection.close()
            self._serving.opened.lock.release()
