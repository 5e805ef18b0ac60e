"""Open connections to an inbox file with the settings that keep it durable."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import apsw

from gateway import payload
from gateway.errors import InboxOutdated, InboxUnsupported
from gateway.inbox.sqlite_faults import refusals
from gateway.inbox.sqlite_place import create_private, require_local
from gateway.inbox.sqlite_schema import SCHEMA, identify, migrate

BUSY_TIMEOUT_MS = 5_000

# Twice the default: a delivery fills one with what is kept beside it, and each page costs two writes to the WAL, one to
# the file and a read. A file that has 4,096 keeps them. With 16,384 a lone delivery writes more for nothing.
PAGE_BYTES = 8_192

# The most rows that one statement is given; with more of them there is little left to share.
MOST_ROWS = 64
# Beyond a few rows their number is rounded up, so that there are not too many different statements.
FEW_ROWS = STEP_ROWS = 8

# Enough for all statements of those numbers of rows.
STATEMENTS_KEPT = 256

# Before these, two connections that wrote and checkpointed at one moment could lose committed transactions:
# https://sqlite.org/wal.html#walresetbug
_FIXED_FROM = (3, 51, 3)
_FIXED_BEFORE = frozenset({(3, 50, 7), (3, 44, 6)})

# synchronous=FULL syncs the WAL at each commit; fullfsync makes macOS reach the platter; the writer checkpoints
# when it chooses (sqlite_writer).
WRITER_SETTINGS = {"synchronous": 2, "fullfsync": 1, "checkpoint_fullfsync": 1, "wal_autocheckpoint": 0}

# A statement over many rows copies each page before it changes it, to be undone alone. Beyond 64 KiB SQLite would write
# those copies to a file, five of them a delivery. Set after a migration, whose sorts may be larger than memory is.
_COPIES_IN_MEMORY = {"temp_store": 2}

# mmap turns I/O errors into signals. Foreign keys stay off: one module deletes rows, all of an entry's in one
# transaction, and the checks would cost a look-up for each.
_SETTINGS = {"mmap_size": 0, "trusted_schema": 0, "cell_size_check": 1, "foreign_keys": 0}


def is_safe(version: tuple[int, ...]) -> bool:
    """Tell whether a SQLite of this version keeps what it committed in WAL mode."""
    return version >= _FIXED_FROM or version in _FIXED_BEFORE


def library_version() -> str:
    """Return the version of SQLite that apsw brings."""
    return apsw.sqlite_lib_version()


def require_safe_library(version: str) -> None:
    """Raise InboxUnsupported when SQLite `version` has the WAL-reset fault."""
    if not is_safe(tuple(int(part) for part in version.split("."))):
        raise InboxUnsupported(
            f"SQLite {version} can lose committed transactions in WAL mode; "
            "install an apsw with SQLite 3.51.3 or newer (or exactly 3.50.7 or 3.44.6)"
        )


def open_writer(path: Path, window_ms: int) -> apsw.Connection:
    """Open the one connection that writes, making or upgrading the file, whose old ids get the window `window_ms`.

    Raises InboxUnsupported.
    """
    require_local(path)
    with refusals(path), contextlib.ExitStack() as undo:
        create_private(path)
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, statementcachesize=STATEMENTS_KEPT)
        undo.callback(connection.close)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        version = identify(connection, path)
        connection.pragma("page_size", PAGE_BYTES)
        connection.pragma("auto_vacuum", 2)  # incremental
        if connection.pragma("journal_mode", "wal") != "wal":
            raise InboxUnsupported(f"{path} is in a place where SQLite cannot use WAL; an inbox needs a local disk")
        _set(connection, WRITER_SETTINGS | _SETTINGS)
        migrate(connection, version, window_ms)
        _set(connection, _COPIES_IN_MEMORY)
        undo.pop_all()
    return connection


def open_beside(path: Path) -> apsw.Connection:
    """Open a connection beside the writer's, for checkpoints alone."""
    with refusals(path):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        _set(connection, WRITER_SETTINGS | _SETTINGS)
        identify(connection, path)  # it knows of the WAL once it has read something
    return connection


def open_reader(path: Path, *, outdated: bool = False) -> apsw.Connection:
    """Open a connection that only reads and never checkpoints; `outdated` takes a file of an older schema too.

    Raises InboxUnsupported.
    """
    if not path.exists():
        raise InboxUnsupported(f"there is no inbox at {path}; the first `gateway serve` makes it")
    with refusals(path), contextlib.ExitStack() as undo:
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        undo.callback(connection.close)
        connection.set_busy_timeout(BUSY_TIMEOUT_MS)
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        version = identify(connection, path)
        if version != SCHEMA and not (outdated and version):
            raise InboxOutdated(f"{path} has an older schema; start `gateway serve` once, which upgrades it")
        _set(connection, _SETTINGS)
        undo.pop_all()
    return connection


def rows(connection: apsw.Connection, statement: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
    """Run a SELECT and return its rows as tuples."""
    return connection.execute(statement, values).fetchall()


def over(statement: str, given: Sequence[tuple[Any, ...]]) -> Iterator[tuple[str, list[Any]]]:
    """Yield statements with a VALUES list of rows in the place of `{values}`, and what to bind, for all rows together.

    One statement for many rows costs one wait for the interpreter's lock where one for each row would cost as many.
    The first value of a row must not be NULL.
    """
    for begin in range(0, len(given), MOST_ROWS):
        part = given[begin : begin + MOST_ROWS]
        width, number = len(part[0]), len(part)
        bound = [value for row in part for value in row]
        if number > FEW_ROWS and (spare := -number % STEP_ROWS):
            bound += [None] * (spare * width)
            number += spare
        yield _with_values(statement, width, number), bound


def insert(connection: apsw.Connection, statement: str, given: Sequence[tuple[Any, ...]]) -> None:
    """Run an INSERT with `{values}`, or another statement that returns no rows, over many rows."""
    for each, values in over(statement, given):
        connection.execute(each, values)


def listed(keys: Sequence[int]) -> str:
    """Return keys as one value, which json_each makes rows of."""
    return payload.dumps(keys).decode()


def last_key(connection: apsw.Connection) -> int:
    """Return the greatest key that an entry ever had in this file."""
    found = rows(connection, "SELECT seq FROM sqlite_sequence WHERE name = 'entries'")
    return int(found[0][0]) if found else 0


@functools.cache
def _with_values(statement: str, width: int, number: int) -> str:
    row = f"({', '.join('?' * width)})"
    values = f"VALUES {', '.join([row] * number)}"
    if number > FEW_ROWS:
        values = f"SELECT * FROM ({values}) WHERE column1 IS NOT NULL"  # noqa: S608 - question marks
    return statement.format(values=values)


def _set(connection: apsw.Connection, settings: dict[str, int]) -> None:
    """Set and read back, since SQLite passes over a setting it cannot follow."""
    for name, value in settings.items():
        connection.pragma(name, value)
        if connection.pragma(name) != value:
            raise InboxUnsupported(f"this SQLite does not set {name} to {value}; reinstall apsw from its own wheels")
