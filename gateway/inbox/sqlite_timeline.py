"""How far the time of an inbox file has come, so that no later process starts before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import apsw

from gateway.inbox.sqlite_connection import rows

T = TypeVar("T")

# Once a second is enough, and saves every commit a page.
_NOTE = "UPDATE timeline SET reached = :now WHERE id = 1 AND reached < :now - 1000"


def timed(connection: apsw.Connection, operation: Callable[[apsw.Connection], T], now: int) -> T:
    """Do an operation that is told `now`, and note that time with what it changes, to the second."""
    before = connection.total_changes()
    result = operation(connection)
    if connection.total_changes() != before:
        connection.execute(_NOTE, {"now": now})
    return result


def reached(connection: apsw.Connection) -> int:
    """Return the latest time (unix ms) that was noted, 0 in a new file."""
    return int(rows(connection, "SELECT reached FROM timeline WHERE id = 1")[0][0])
