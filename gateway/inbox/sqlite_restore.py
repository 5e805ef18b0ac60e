"""Put a backup in the place of an inbox file that nobody serves, and keep the file that was there."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import apsw

from gateway.errors import BackupFailed
from gateway.inbox.lock import ServingLock
from gateway.inbox.sqlite_backup import Facts, find_fault, told_facts
from gateway.inbox.sqlite_connection import last_key, open_reader, rows
from gateway.inbox.sqlite_copy import copy_pages, draft, failures, publish, sync
from gateway.inbox.sqlite_damage import FILES, keep_aside
from gateway.inbox.sqlite_place import require_local

REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Restored:
    """What was restored: what the backup says of itself, the files that belong to it, where the earlier inbox is."""

    facts: Facts | None
    beside: dict[str, bytes]
    kept_aside: Path | None


def restore(backup: Path, inbox: Path) -> Restored:
    """Make `inbox` what `backup` holds, a file of `gateway backup` or any inbox file that nobody serves.

    Raises InboxLocked while a gateway serves `inbox`, InboxUnsupported for a file that is no inbox or of a newer
    gateway, BackupFailed for a damaged one and when the disk refuses. Until the very end the file that is there stays.
    """
    inbox = inbox.resolve()
    if backup.resolve() == inbox:
        raise BackupFailed(f"{backup} is the inbox itself; name a backup of it")
    require_local(inbox)
    lock = ServingLock.acquire(inbox)
    try:
        with failures(f"{backup} could not be restored to {inbox}"):
            return _restore(backup, inbox, lock)
    finally:
        lock.release()


def _restore(backup: Path, inbox: Path, lock: ServingLock) -> Restored:
    with draft(inbox) as copy:
        with contextlib.closing(open_reader(backup, outdated=True)) as source:
            source.execute("BEGIN")
            copy_pages(source, copy)
        with contextlib.closing(apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
            facts = told_facts(connection)
            if fault := find_fault(connection, facts, thorough=True):
                raise BackupFailed(f"{backup} is damaged ({fault}), so nothing was restored; take another backup")
            beside = _take_files(connection) if facts else {}
            last = last_key(connection)
        sync(copy)  # so that little can go wrong once the inbox has left its place
        kept_aside = keep_aside(inbox, REPLACED) if _is_there(inbox) else None
        publish(copy, inbox)
    lock.mark(last)
    return Restored(facts, beside, kept_aside)


def _is_there(inbox: Path) -> bool:
    """Tell whether there is anything of an inbox; a WAL alone would be taken for that of the restored file."""
    return any(Path(f"{inbox}{suffix}").exists() for suffix in FILES)


def _take_files(connection: apsw.Connection) -> dict[str, bytes]:
    """Return the files that a backup holds, and leave the tables of an inbox alone."""
    files = dict(rows(connection, "SELECT name, content FROM backup_files"))
    with connection:
        connection.execute("DROP TABLE backup_facts; DROP TABLE backup_files")
    return files
