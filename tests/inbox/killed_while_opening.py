"""Copies a directory once for each statement of opening the inbox in it, and kills the opening before that statement.

Prints how many copies were made: the first opens nothing but the file, the last was not killed.
"""

import itertools
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import apsw

from gateway.inbox.sqlite import SqliteInbox


def killer(statements: int) -> Callable[[apsw.Connection], None]:
    """Make a hook that counts the statements of every connection and kills before the one after so many."""
    left = itertools.count(statements, -1)

    def count(_cursor: apsw.Cursor, _statement: str, _values: object) -> bool:
        if next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return True

    return lambda connection: connection.set_exec_trace(count)


def opening_is_killed(place: Path, statements: int) -> bool:
    """Open the inbox in a process of its own, and tell whether it was killed before it was done."""
    child = os.fork()
    if child == 0:
        apsw.connection_hooks.append(killer(statements))
        SqliteInbox.open(place / "inbox.db", dedupe_window_ms=1_000_000)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def main(template: Path, into: Path) -> None:
    """Go on until an opening is done before it is killed."""
    for statements in itertools.count():
        place = into / str(statements)
        shutil.copytree(template, place)
        if not opening_is_killed(place, statements):
            sys.stdout.write(f"{statements + 1}\n")
            return


main(Path(sys.argv[1]), Path(sys.argv[2]))
