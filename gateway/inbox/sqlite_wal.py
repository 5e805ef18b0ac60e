"""Keep the WAL of an inbox file small: most is moved beside the writer's commits, and the rest between two of them."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future
from pathlib import Path

import apsw

from gateway import threads
from gateway.failpoints import failpoint
from gateway.inbox.sqlite_faults import out_of_room

# 8 MiB of WAL in a new file.
CHECKPOINT_PAGES = 1_000

# Where the disk takes so long that this many are to be moved, commits wait for it: there is an end to what a WAL holds.
MOST_PAGES = 8_000

# A WAL that grew under a reader keeps its size when it is reused; beyond this it is cut.
TRUNCATE_BYTES = 64 << 20


def wal_bytes(path: Path) -> int:
    """Return the size of the WAL of the inbox file at `path`; there is none while nobody has the file open."""
    with contextlib.suppress(OSError):
        return path.with_name(f"{path.name}-wal").stat().st_size
    return 0


class Checkpoints:
    """Moves the WAL of one connection into its database when it is due.

    That takes ten milliseconds and more, for which no commit should wait: a connection in a thread of its own moves
    what is there while the writer goes on. Then the writer moves the little that came meanwhile, since only a WAL
    of which all was moved begins anew.
    """

    def __init__(self, connection: apsw.Connection, beside: apsw.Connection, *, busy_timeout_ms: int) -> None:
        self._connection = connection
        self._beside = beside
        self._busy_timeout_ms = busy_timeout_ms
        self._thread = threads.pool(1, "inbox-checkpoint")
        self._moving: Future[apsw.Error | None] | None = None
        self._begun_at = self._moved_at = self._written()
        self._due_at = CHECKPOINT_PAGES

    def are_due(self, *, idle: bool) -> bool:
        """Tell whether `run` has something to do; an idle moment can be used to cut a large WAL."""
        waiting = self._written() - self._moved_at
        if self._moving:
            return self._moving.done() or waiting >= self._due_at + MOST_PAGES
        return waiting >= self._due_at or (idle and self._is_large())

    def run(self) -> None:
        """Begin to move the WAL beside the writer, or move what is left of it and cut one that is large.

        A reader in the way leaves pages behind; then the next try comes when as many again were written. Nobody is
        waited for but a disk that is slow. Raises apsw.Error.
        """
        if moving := self._moving:
            self._moving = None
            if error := moving.result():
                if not out_of_room(self._beside, error):
                    raise error
                self._due_at += CHECKPOINT_PAGES
                return
        written = self._written()
        is_much = written - self._begun_at >= CHECKPOINT_PAGES
        if is_much and written - self._moved_at < self._due_at + MOST_PAGES and not self._is_large():
            self._begun_at = written
            self._moving = self._thread.submit(self._move)
        else:
            self._finish()

    def close(self) -> None:
        """Wait for what is under way, and close the connection of its own."""
        self._thread.shutdown()
        self._beside.close()

    def _move(self) -> apsw.Error | None:
        try:
            self._beside.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            return error
        return None

    def _finish(self) -> None:
        failpoint("in_checkpoint")
        logged, moved = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        self._due_at = CHECKPOINT_PAGES + (logged if moved < logged else 0)
        if moved == logged:
            self._moved_at = self._written()
            if self._is_large():
                self._cut()

    def _is_large(self) -> bool:
        return wal_bytes(Path(self._connection.filename)) > TRUNCATE_BYTES

    def _cut(self) -> None:
        """Give the space of the WAL back to the disk, unless somebody reads it."""
        self._connection.set_busy_timeout(0)
        try:
            self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.BusyError:
            return
        finally:
            self._connection.set_busy_timeout(self._busy_timeout_ms)

    def _written(self) -> int:
        """Return how many pages the connection has written to the WAL; a hook would take the interpreter's lock."""
        pages, _ = self._connection.status(apsw.SQLITE_DBSTATUS_CACHE_WRITE)
        return pages
