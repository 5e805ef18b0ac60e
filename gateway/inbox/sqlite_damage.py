"""Find damage in an inbox file before it is served, and keep a damaged file aside. Nothing is ever deleted."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import apsw

from gateway.inbox.sqlite_connection import rows
from gateway.inbox.sqlite_copy import sync
from gateway.inbox.sqlite_schema import APPLICATION_ID, identify

# Reading a whole file of many GiB would take minutes in which nothing is received. So the tables are read from the
# narrow ones that every delivery needs to the wide bodies, for at most this long: enough for all of a usual inbox.
# What lies beyond is met at run time, which is marked in the lock file and has the next start look at everything.
QUICK_SECONDS = 0.5
_STEPS_BETWEEN_LOOKS = 1_000

_HEADER_BYTES = 100  # https://sqlite.org/fileformat.html#the_database_header
_APPLICATION_ID_AT = slice(68, 72)
FILES = ("-wal", "-shm", "")
_NARROW_FIRST = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name = 'bodies', rowid"


def find_damage(path: Path, *, served_before: bool, thorough: bool) -> str | None:
    """Return what is wrong with the file, or None when it is absent, empty, sound or no inbox.

    A file that SQLite cannot read counts as a damaged inbox only where it is known to be one: by its application id,
    or by `served_before`. `thorough` looks at every page and index, however long it takes. Raises InboxUnsupported
    for a database of another program or of a newer gateway, OSError and apsw.Error.
    """
    if not path.exists() or path.stat().st_size == 0:
        return None
    try:
        return _find_in_pages(path, thorough=thorough)
    except (apsw.CorruptError, apsw.NotADBError) as error:
        return str(error) if served_before or _is_marked(path) else None


def keep_aside(path: Path, why: str = "corrupt") -> Path:
    """Rename the file, with its WAL, to `<file>.<why>-<utc time>` and return that path. Raises OSError.

    The WAL goes first: a crash in between leaves the damaged file in place, to be found again, whereas SQLite would
    delete a WAL that it finds beside no database.
    """
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.{why}-{stamp}")
    for suffix in FILES:
        with contextlib.suppress(FileNotFoundError):
            Path(f"{path}{suffix}").rename(f"{aside}{suffix}")
    sync(path.parent)
    return aside


def _find_in_pages(path: Path, *, thorough: bool) -> str | None:
    with contextlib.closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.pragma("cell_size_check", 1)
        if identify(connection, path) == 0:
            return None
        if thorough:
            return _first_fault(rows(connection, "PRAGMA integrity_check(1)"))
        ends_at = time.monotonic() + QUICK_SECONDS
        connection.set_progress_handler(lambda: time.monotonic() >= ends_at, _STEPS_BETWEEN_LOOKS)
        with contextlib.suppress(apsw.InterruptError):
            for (table,) in rows(connection, _NARROW_FIRST):
                if fault := _first_fault(rows(connection, f"PRAGMA quick_check('{table}')")):
                    return fault
    return None


def _is_marked(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(_HEADER_BYTES)[_APPLICATION_ID_AT] == APPLICATION_ID.to_bytes(4, "big")


def _first_fault(answers: Iterable[tuple[str]]) -> str | None:
    return next((answer for (answer,) in answers if answer != "ok"), None)
