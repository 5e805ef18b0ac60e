"""The SQLite file that is moved, which nobody serves meanwhile: its mark, its counts, and its records step by step."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw

from gateway.errors import InboxUnsupported, MoveFailed
from gateway.inbox import sqlite_moved, sqlite_timeline
from gateway.inbox.lock import ServingLock
from gateway.inbox.moving.record import UNFINISHED, Lives, Record
from gateway.inbox.sqlite_connection import (
    last_key,
    library_version,
    open_reader,
    open_writer,
    require_safe_library,
    rows,
)
from gateway.inbox.sqlite_moved import Mark
from gateway.inbox.sqlite_opening import told_lost

BATCH_ROWS = 1_000
BATCH_BYTES = 8 << 20

Counted = dict[str, dict[str, int]]
"""How many entries there are, by source and state."""

_COUNTS = f"""
SELECT source, CASE state WHEN 'leased' THEN '{UNFINISHED}' ELSE state END, count(*) FROM entries GROUP BY 1, 2
"""  # noqa: S608 - a constant
_BYTES = "SELECT coalesce(sum(length(body) + coalesce(length(content), 0)), 0) FROM bodies"
_SIZES = """
SELECT entries.key, coalesce(length(metadata) + length(body), 0) + coalesce(length(content), 0)
  + coalesce(length(frozen.events), 0)
FROM entries LEFT JOIN bodies ON bodies.key = entries.key LEFT JOIN frozen ON frozen.key = entries.key
WHERE entries.key > ? ORDER BY entries.key LIMIT ?
"""
_RECORDS = f"""
SELECT entries.key, entries.source, provider, delivery_id, type, trace_id, received_at, digest,
  coalesce(dedupe.expires_at, forget_at, 0),
  CASE state WHEN 'leased' THEN '{UNFINISHED}' ELSE state END, due_at, attempts, generation, reason, rejections,
  rejected_at, batch, position, settled_at, forget_at, transform, transform_ms,
  first_seen, dedupe.expires_at, hits, last_seen, metadata, body, content, seed, frozen.events
FROM entries LEFT JOIN dedupe ON dedupe.key = entries.key LEFT JOIN bodies ON bodies.key = entries.key
LEFT JOIN frozen ON frozen.key = entries.key
WHERE entries.key > ? AND entries.key <= ? ORDER BY entries.key
"""  # noqa: S608 - a constant
_ATTEMPTS = """
SELECT key, number, at, duration_ms, outcome, status, detail FROM attempts WHERE key > ? AND key <= ?
ORDER BY key, number
"""
_EVENTS = "SELECT key, n, id, name, event_api_id FROM events WHERE key > ? AND key <= ? ORDER BY key, n"
_USES = "SELECT day, source, label, uses, last_at FROM secret_uses ORDER BY day, source, label"


class Source:
    """An inbox file, in keys after which its records are read; of `open` nobody else may serve it until `close`."""

    def __init__(self, path: Path, connection: apsw.Connection, lock: ServingLock | None) -> None:
        self.path = path
        self.alarm = told_lost(path, lock.earlier.last_key, last_key(connection)) if lock else ""
        self._connection = connection
        self._lock = lock

    @classmethod
    def open(cls, path: Path, window_ms: int) -> Source:
        """Take the file, upgraded where it is older; ids of before windows were kept get `window_ms`.

        Raises InboxLocked while a gateway serves it, InboxUnsupported where there is no inbox that can be used.
        """
        path = _existing(path)
        require_safe_library(library_version())
        lock = ServingLock.acquire(path)
        with contextlib.ExitStack() as undo:
            undo.callback(lock.release)
            connection = open_writer(path, window_ms)
            undo.callback(connection.close)
            source = cls(path, connection, lock)
            undo.pop_all()
        return source

    @classmethod
    def look(cls, path: Path) -> Source:
        """Open the file to count what is in it, also beside a gateway that serves it. Raises InboxUnsupported."""
        path = _existing(path)
        return cls(path, open_reader(path, outdated=True), None)

    def close(self) -> None:
        """Release the file."""
        with contextlib.suppress(apsw.Error):  # what was committed is safe in the WAL
            self._connection.close()
        if self._lock:
            self._lock.release()

    @property
    def mark(self) -> Mark | None:
        """How far a move of the file is; None without one."""
        with self._sound():
            return sqlite_moved.read(self._connection)

    def set_mark(self, mark: Mark | None) -> None:
        """Write the mark of a move, or take it off."""
        with self._sound():
            if mark:
                sqlite_moved.write(self._connection, mark)
            else:
                sqlite_moved.remove(self._connection)

    @property
    def reached(self) -> int:
        """The latest time (unix ms) that the file was told."""
        with self._sound():
            return sqlite_timeline.reached(self._connection)

    def counts(self) -> Counted:
        """Count the entries."""
        counted: Counted = {}
        with self._sound():
            for source, state, number in rows(self._connection, _COUNTS):
                counted.setdefault(source, {})[state] = number
        return counted

    def body_bytes(self) -> int:
        """Return the bytes of all bodies."""
        with self._sound():
            return int(rows(self._connection, _BYTES)[0][0])

    def secret_uses(self) -> list[tuple[Any, ...]]:
        """Return how often each secret was used: day, source, label, uses, last use (unix ms)."""
        with self._sound():
            return rows(self._connection, _USES)

    def batch(self, after: int) -> list[Record]:
        """Return the next records after a key, in ascending order: within bounds, and always one; none at the end."""
        with self._sound():
            sizes = rows(self._connection, _SIZES, (after, BATCH_ROWS))
            totals = itertools.accumulate((size for _, size in sizes), initial=0)
            keys = [key for (key, _), before in zip(sizes, totals, strict=False) if before < BATCH_BYTES]
            return self._records(after, keys[-1]) if keys else []

    def _records(self, after: int, last: int) -> list[Record]:
        lives = [self._lives(statement, after, last) for statement in (_ATTEMPTS, _EVENTS)]
        found = self._rows(_RECORDS, after, last)
        return [Record.of(row, (life.get(row[0], ()) for life in lives)) for row in found]

    def _lives(self, statement: str, after: int, last: int) -> Lives:
        found: Lives = {}
        for key, *values in self._rows(statement, after, last):
            found[key] = (*found.get(key, ()), tuple(values))
        return found

    def _rows(self, statement: str, after: int, last: int) -> list[Any]:
        return rows(self._connection, statement, (after, last))

    @contextlib.contextmanager
    def _sound(self) -> Iterator[None]:
        try:
            yield
        except apsw.Error as error:
            raise MoveFailed(
                f"{self.path} cannot be used ({error}); check its disk, or restore a backup and move that"
            ) from error


def _existing(path: Path) -> Path:
    if not path.exists():
        raise InboxUnsupported(f"there is no inbox at {path}; name the file after --from as sqlite:<path>")
    return path.resolve()  # one lock for a file and the links to it
