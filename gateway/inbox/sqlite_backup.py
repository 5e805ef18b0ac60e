"""Back up an inbox file while a gateway serves it: one file, of one moment, verified, and of its owner alone."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import apsw

from gateway.errors import BackupFailed
from gateway.inbox.disk_space import Space, SpaceLevel, measure
from gateway.inbox.sqlite_connection import open_reader, rows
from gateway.inbox.sqlite_copy import Step, copy_pages, draft, failures, publish

# What a backup has besides the tables of an inbox; restoring drops them.
_TABLES = """
CREATE TABLE backup_facts (name TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT;
CREATE TABLE backup_files (name TEXT PRIMARY KEY, content BLOB NOT NULL) STRICT;
"""
_IS_BACKUP = "SELECT 1 FROM sqlite_schema WHERE name = 'backup_facts'"
_COUNTED = {
    "entries": "SELECT count(*) FROM entries",
    "unfinished": "SELECT count(*) FROM entries WHERE settled_at IS NULL",
    "known_ids": "SELECT count(*) FROM dedupe",
}


@dataclass(frozen=True, slots=True)
class Facts:
    """What a backup says of itself; `unfinished` of its entries were yet to be forwarded; `made_at` is unix ms."""

    made_at: int
    entries: int
    unfinished: int
    known_ids: int


def back_up(
    inbox: Path,
    target: Path,
    beside: Mapping[str, bytes],
    *,
    now: int,
    measured: Callable[[Path], Space] = measure,
    progress: Step = lambda _copied, _all: None,
) -> Facts:
    """Write a backup of the inbox file at `inbox` to `target`, with the small files that belong to it by name.

    Whoever serves the file goes on meanwhile: the copy is read on a connection that neither writes nor checkpoints.
    The WAL cannot be reused while it is, and grows; when the disk of the inbox becomes scarce, intake comes first. The
    backup is read again and counted before it gets its name. Raises InboxUnsupported when there is no inbox,
    BackupFailed when nothing was made: also where `target` exists.
    """
    if target.exists():
        raise BackupFailed(f"{target} exists already, and a backup overwrites nothing; name another file")

    def after_step(copied: int, pages: int) -> None:
        progress(copied, pages)
        if (room := measured(inbox.parent)).level >= SpaceLevel.SCARCE:
            raise BackupFailed(
                f"broken off, as the disk of the inbox has only {room} left, which deliveries need; make room, or "
                "write the backup to another disk; nothing was left there"
            )

    with failures(f"the backup {target} could not be written"), draft(target) as copy:
        with contextlib.closing(open_reader(inbox, outdated=True)) as source:
            source.execute("BEGIN")
            facts = Facts(now, **_count(source))
            copy_pages(source, copy, after_step)
        _complete(copy, facts, beside)
        publish(copy, target)
    return facts


def told_facts(connection: apsw.Connection) -> Facts | None:
    """Return what a file says of itself, None where it is no backup but an inbox."""
    if not rows(connection, _IS_BACKUP):
        return None
    return Facts(**dict(rows(connection, "SELECT name, number FROM backup_facts")))


def find_fault(connection: apsw.Connection, facts: Facts | None, *, thorough: bool) -> str | None:
    """Return what is wrong with a copy, or None; `thorough` compares indexes with their tables too."""
    [(answer,)] = rows(connection, "PRAGMA integrity_check(1)" if thorough else "PRAGMA quick_check(1)")
    if answer != "ok":
        return str(answer)
    if facts and (counted := Facts(facts.made_at, **_count(connection))) != facts:
        return f"it should hold {facts.entries} entries and holds {counted.entries}"
    return None


def _count(connection: apsw.Connection) -> dict[str, int]:
    return {name: rows(connection, statement)[0][0] for name, statement in _COUNTED.items()}


def _complete(copy: Path, facts: Facts, beside: Mapping[str, bytes]) -> None:
    """Add what the backup says of itself and the files beside it, and read it again."""
    with contextlib.closing(apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        with connection:
            connection.execute(_TABLES)
            numbers = {name: getattr(facts, name) for name in Facts.__dataclass_fields__}
            connection.executemany("INSERT INTO backup_facts VALUES (?, ?)", numbers.items())
            connection.executemany("INSERT INTO backup_files VALUES (?, ?)", beside.items())
        if fault := find_fault(connection, facts, thorough=False):
            raise BackupFailed(f"the copy is not sound ({fault}): check both disks, and the log for an inbox_alarm")
