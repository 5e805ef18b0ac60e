"""The mark of a move in an inbox file, so that nobody serves a file whose entries are being moved or are elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import apsw

from gateway.errors import InboxMoved
from gateway.inbox.sqlite_connection import rows

COPYING = "copying"
VERIFIED = "verified"
DONE = "done"

# Made only for a move: a file that was never moved is as it was.
_TABLE = """
CREATE TABLE IF NOT EXISTS moved (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  move TEXT NOT NULL,
  target TEXT NOT NULL,
  stage TEXT NOT NULL CHECK (stage IN ('copying', 'verified', 'done')),
  at INTEGER NOT NULL
) STRICT
"""
_IS_MARKED = "SELECT 1 FROM sqlite_schema WHERE name = 'moved'"


@dataclass(frozen=True, slots=True)
class Mark:
    """A move by its name: where it goes, as people are told, how far it is, and since when (unix ms)."""

    move: str
    target: str
    stage: str
    at: int

    def told(self, path: Path) -> str:
        """Say what became of the file at `path`, and what to do."""
        if self.stage == DONE:
            when = datetime.fromtimestamp(self.at / 1000, UTC)
            return (
                f"the inbox {path} was moved to {self.target} on {when:%Y-%m-%d at %H:%M} UTC; name that in [inbox] "
                f"url. To serve the file all the same, as it was then: gateway move --undo --from sqlite:{path}"
            )
        return (
            f"the inbox {path} is being moved to {self.target} and not all of it is there; run `gateway move` again, "
            f"which goes on, or give it up with gateway move --undo --from sqlite:{path}"
        )


def read(connection: apsw.Connection) -> Mark | None:
    """Return the mark of a file, None where it was never moved."""
    if not rows(connection, _IS_MARKED):
        return None
    return next((Mark(*found) for found in rows(connection, "SELECT move, target, stage, at FROM moved")), None)


def write(connection: apsw.Connection, mark: Mark) -> None:
    """Mark a file, durably."""
    with connection:
        connection.execute(_TABLE)
        values = (mark.move, mark.target, mark.stage, mark.at)
        connection.execute("INSERT OR REPLACE INTO moved (id, move, target, stage, at) VALUES (1, ?, ?, ?, ?)", values)


def remove(connection: apsw.Connection) -> None:
    """Take the mark off, durably."""
    with connection:
        connection.execute("DROP TABLE IF EXISTS moved")


def require_none(connection: apsw.Connection, path: Path) -> None:
    """Raise InboxMoved where the file was moved or is being moved."""
    if mark := read(connection):
        raise InboxMoved(mark.told(path))
