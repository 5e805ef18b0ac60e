"""Keep the WAL of an inbox file small: the writer thread is the only one that checkpoints, between its groups."""

from __future__ import annotations

import contextlib
from pathlib import Path

import apsw

from gateway.failpoints import failpoint

# 4 MiB of WAL: small checkpoints pause the next group for milliseconds, large ones for tens of them.
CHECKPOINT_PAGES = 1_000

# A WAL that grew under a reader keeps its size when it is reused; beyond this it is cut.
TRUNCATE_BYTES = 64 << 20


def wal_bytes(path: Path) -> int:
    """Return the size of the WAL of the inbox file at `path`; there is none while nobody has the file open."""
    with contextlib.suppress(OSError):
        return path.with_name(f"{path.name}-wal").stat().st_size
    return 0


class Checkpoints:
    """Moves the WAL of one connection into its database when it is due."""

    def __init__(self, connection: apsw.Connection, *, busy_timeout_ms: int) -> None:
        self._connection = connection
        self._busy_timeout_ms = busy_timeout_ms
        self._moved_at = self._written()
        self._due_at = CHECKPOINT_PAGES

    def are_due(self, *, idle: bool) -> bool:
        """Tell whether enough was written since the last time, or an idle moment can be used to cut a large WAL."""
        return self._written() - self._moved_at >= self._due_at or (idle and self._is_large())

    def run(self) -> None:
        """Move what can be moved without waiting for anybody, and cut a WAL that is large then. Raises apsw.Error.

        A reader in the way leaves pages behind; then the next try comes when as many again were written.
        """
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
