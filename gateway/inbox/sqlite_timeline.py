"""How far the time of an inbox file has come, so that no later process starts before it."""

from __future__ import annotations

import apsw

from gateway.inbox.sqlite_connection import rows

# Once a second is enough, and saves every commit a page.
_NOTE = "UPDATE timeline SET reached = :now WHERE id = 1 AND reached < :now - 1000"


def note(connection: apsw.Connection, now: int) -> None:
    """Note a time (unix ms) that a change was told, to the second."""
    connection.execute(_NOTE, {"now": now})


def reached(connection: apsw.Connection) -> int:
    """Return the latest time (unix ms) that was noted, 0 in a new file."""
    return int(rows(connection, "SELECT reached FROM timeline WHERE id = 1")[0][0])
