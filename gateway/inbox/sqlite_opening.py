"""Open an inbox file for serving: alone, sound, upgraded, with nothing leased, and with what it lost told."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

import apsw

from gateway.errors import InboxUnsupported
from gateway.inbox import sqlite_leases, sqlite_moved, sqlite_timeline
from gateway.inbox.lock import ServingLock
from gateway.inbox.sqlite_connection import last_key, open_writer
from gateway.inbox.sqlite_damage import find_damage, keep_aside
from gateway.inbox.sqlite_faults import is_damage, refusals


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that this process alone serves, and what the operator must know of how it was found."""

    lock: ServingLock
    connection: apsw.Connection
    reached: int
    kept_aside: Path | None
    alarms: tuple[str, ...]


def open_serving(path: Path, window_ms: int) -> Opened:
    """Take the lock and open the file, or a fresh one in place of a damaged one. Raises InboxLocked, InboxUnsupported.

    Every lease is given back: whoever held one is gone. `window_ms` is for an upgrade: see `migrate`.
    """
    lock = ServingLock.acquire(path)
    with contextlib.ExitStack() as undo:
        undo.callback(lock.release)
        connection, kept_aside, damage = _open_sound(path, lock, window_ms)
        undo.callback(connection.close)
        last = last_key(connection)
        alarm = _told_aside(path, kept_aside, damage) if kept_aside else told_lost(path, lock.earlier.last_key, last)
        lock.mark(last)
        reached = sqlite_timeline.reached(connection)
        undo.pop_all()
    return Opened(lock, connection, reached, kept_aside, (alarm,) if alarm else ())


def _open_sound(path: Path, lock: ServingLock, window_ms: int) -> tuple[apsw.Connection, Path | None, str]:
    """Open the file if it is sound; return the connection, where a damaged file went, and what was wrong with it."""
    kept_aside, damage = _keep_aside_if_damaged(path, lock, thorough=lock.earlier.damaged)
    try:
        return _open(path, window_ms), kept_aside, damage
    except InboxUnsupported as error:
        if kept_aside or not (isinstance(error.__cause__, apsw.Error) and is_damage(error.__cause__)):
            raise
    kept_aside, damage = _keep_aside_if_damaged(path, lock, thorough=True)
    return _open(path, window_ms), kept_aside, damage


def _keep_aside_if_damaged(path: Path, lock: ServingLock, *, thorough: bool) -> tuple[Path | None, str]:
    with refusals(path):
        damage = find_damage(path, served_before=lock.earlier.last_key > 0, thorough=thorough)
        return (keep_aside(path), damage) if damage else (None, "")


def _open(path: Path, window_ms: int) -> apsw.Connection:
    connection = open_writer(path, window_ms)
    with refusals(path), contextlib.ExitStack() as undo:
        undo.callback(connection.close)
        sqlite_moved.require_none(connection, path)
        sqlite_leases.release(connection)
        undo.pop_all()
    return connection


def _told_aside(path: Path, kept_aside: Path, damage: str) -> str:
    return (
        f"the inbox {path} was damaged ({damage}) and is kept as {kept_aside}; a fresh one serves in its place. What "
        "the old one had not forwarded waits in it, and re-sends of what it knew are no longer absorbed: check the "
        f"disk, and recover the entries with `sqlite3 {kept_aside} .recover`"
    )


def told_lost(path: Path, committed: int, reached: int) -> str:
    """Say what is missing of a file where more was committed than the last entry in it; empty where nothing is."""
    if committed <= reached:
        return ""
    return (
        f"the inbox {path} ends at entry {reached}, although entry {committed} was committed: its -wal file or the "
        "file itself was deleted, or an older copy was put in its place; up to "
        f"{committed - reached} accepted deliveries are missing. Put the files back, or have the providers re-send"
    )
