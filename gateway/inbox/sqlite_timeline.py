"""How far the time of an inbox file has come, so that no later process starts before it."""

from __future__ import annotations

import apsw

from gateway.inbox.sqlite_connection import rows

# Once a second is enough, and saves every commit a page and a statement.
EVERY_MS = 1_000

_NOTE = "UPDATE timeline SET reached = ? WHERE id = 1 AND reached < ?"


class Timeline:
    """Notes the time in the transactions of the one connection that writes."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._noted = 0

    def note(self, now: int) -> None:
        """Note a time (unix ms) that a change was told, to the second."""
        if now > self._noted + EVERY_MS:
            self._connection.execute(_NOTE, (now, now - EVERY_MS))
            self._noted = now

    def rolled_back(self) -> None:
        """Take it that what was noted in this transaction is not."""
        self._noted = 0


def reached(connection: apsw.Connection) -> int:
    """Return the latest time (unix ms) that was noted, 0 in a new file."""
    return int(rows(connection, "SELECT reached FROM timeline WHERE id = 1")[0][0])
