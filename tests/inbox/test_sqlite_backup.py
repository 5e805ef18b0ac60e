"""Backups of an inbox file that is being written, and what restoring them makes of it."""

# ruff: noqa: ASYNC240 - nothing else waits for the loop of these tests

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from gateway.errors import BackupFailed, InboxLocked, InboxUnsupported
from gateway.history import Query
from gateway.inbox import sqlite_schema
from gateway.inbox.disk_space import MIB, Space
from gateway.inbox.sqlite import SqliteInbox
from gateway.inbox.sqlite_backup import Facts, back_up
from gateway.inbox.sqlite_restore import restore
from gateway.model import Delivery

DAY = 86_400_000
NOW = 1_700_000_000_000


def _open(path: Path) -> SqliteInbox:
    return SqliteInbox.open(path, dedupe_window_ms=7 * DAY)


async def _put(inbox: SqliteInbox, first: int, count: int, size: int = 2_000) -> None:
    body = b"x" * size
    names = [f"d{number}" for number in range(first, first + count)]
    await inbox.put([Delivery("acme", "hmac", name, "made", NOW, body, content=body) for name in names], NOW)


async def _names(path: Path) -> set[str]:
    inbox = _open(path)
    found = await inbox.search(Query(limit=10_000))
    assert inbox.alarms == ()
    await inbox.close()
    return {history.entry.delivery.id for history in found}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of an inbox in a folder of its own."""
    return tmp_path / "inbox.db"


@pytest.fixture
async def inbox(path: Path) -> AsyncIterator[SqliteInbox]:
    """Give an inbox that is being served and holds a hundred deliveries."""
    made = _open(path)
    await _put(made, 0, 100)
    yield made
    await made.close()


async def test_a_backup_under_load_is_one_moment(inbox: SqliteInbox, path: Path, tmp_path: Path) -> None:
    """Deliveries go on being kept at every step of a backup; it holds all of before it and none of after."""
    await _put(inbox, 100, 1_000, size=5_000)
    loop, written = asyncio.get_running_loop(), 1_100
    steps = []

    def between_steps(copied: int, pages: int) -> None:
        nonlocal written
        asyncio.run_coroutine_threadsafe(_put(inbox, written, 1), loop).result(10)
        written += 1
        steps.append((copied, pages))

    target = tmp_path / "backup"
    facts = await asyncio.to_thread(back_up, path, target, {}, now=NOW, progress=between_steps)
    assert facts == Facts(NOW, entries=1_100, unfinished=1_100, known_ids=1_100)
    assert len(steps) > 4
    assert len({pages for _, pages in steps}) == 1
    assert steps[-1][0] == steps[-1][1]
    assert written == 1_100 + len(steps)
    assert target.stat().st_mode & 0o777 == 0o600
    await inbox.close()
    restore(target, path)
    assert await _names(path) == {f"d{number}" for number in range(1_100)}


async def test_restoring_keeps_the_earlier_file(inbox: SqliteInbox, path: Path, tmp_path: Path) -> None:
    """The file that was there is kept, with what it held, and can be restored in turn."""
    back_up(path, tmp_path / "backup", {"a": b"1"}, now=NOW)
    await _put(inbox, 100, 5)
    await inbox.close()
    restored = restore(tmp_path / "backup", path)
    assert restored.facts == Facts(NOW, 100, 100, 100)
    assert restored.beside == {"a": b"1"}
    assert len(await _names(path)) == 100
    assert restored.kept_aside
    assert restore(restored.kept_aside, path).facts is None
    assert len(await _names(path)) == 105
    assert not list(tmp_path.glob("*.part*"))


async def test_into_an_empty_place(inbox: SqliteInbox, path: Path, tmp_path: Path) -> None:
    """A backup makes the inbox of a machine that has none, without the tables that only a backup has."""
    back_up(path, tmp_path / "backup", {}, now=NOW)
    other = tmp_path / "other.db"
    assert restore(tmp_path / "backup", other).kept_aside is None
    assert await _names(other) == await _names(tmp_path / "backup")
    with contextlib.closing(apsw.Connection(str(other))) as connection:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'backup%'").fetchall()
    assert tables == []


async def test_a_wal_without_its_file_is_kept_aside(inbox: SqliteInbox, path: Path, tmp_path: Path) -> None:
    """What is left of an inbox whose file was deleted does not get into the restored one."""
    back_up(path, tmp_path / "backup", {}, now=NOW)
    await _put(inbox, 100, 50)
    left = path.with_name("inbox.db-wal").read_bytes()
    await inbox.close()
    path.unlink()
    path.with_name("inbox.db-wal").write_bytes(left)
    kept = restore(tmp_path / "backup", path).kept_aside
    assert kept
    assert Path(f"{kept}-wal").read_bytes() == left
    assert len(await _names(path)) == 100


async def test_not_while_it_is_served(inbox: SqliteInbox, path: Path, tmp_path: Path) -> None:
    """A gateway that serves the inbox keeps it."""
    back_up(path, tmp_path / "backup", {}, now=NOW)
    with pytest.raises(InboxLocked, match="already served by process"):
        restore(tmp_path / "backup", path)
    await _put(inbox, 100, 1)
    await inbox.close()
    assert len(await _names(path)) == 101


async def test_nothing_is_overwritten(inbox: SqliteInbox, path: Path, tmp_path: Path) -> None:
    """A file that exists is not taken for a backup to write."""
    target = tmp_path / "backup"
    target.write_text("mine")
    with pytest.raises(BackupFailed, match="overwrites nothing"):
        back_up(path, target, {}, now=NOW)
    assert target.read_text() == "mine"


@pytest.mark.parametrize("place", ["missing/backup", "inbox.db/backup"])
async def test_a_place_that_cannot_be_written(inbox: SqliteInbox, path: Path, tmp_path: Path, place: str) -> None:
    """The reason is told, and nothing is left."""
    with pytest.raises(BackupFailed, match="could not be written"):
        back_up(path, tmp_path / place, {}, now=NOW)
    assert not list(tmp_path.glob("**/*.part*"))


async def test_intake_comes_first(inbox: SqliteInbox, path: Path, tmp_path: Path) -> None:
    """When the disk of the inbox becomes scarce the backup is broken off and leaves nothing."""
    with pytest.raises(BackupFailed, match="only 100 MiB"):
        back_up(path, tmp_path / "backup", {}, now=NOW, measured=lambda _: Space(100 * MIB, 10_000 * MIB))
    assert {file.name for file in tmp_path.iterdir()} == {"inbox.db", "inbox.db-wal", "inbox.db-shm", "inbox.db.lock"}


async def test_damage_is_found_before_anything_changes(inbox: SqliteInbox, path: Path, tmp_path: Path) -> None:
    """A backup with a torn page is refused, and the inbox is as it was."""
    target = tmp_path / "backup"
    back_up(path, target, {}, now=NOW)
    await inbox.close()
    before = path.read_bytes()
    content = bytearray(target.read_bytes())
    content[8 * 4_096 : 12 * 4_096] = b"\xff" * 4 * 4_096
    target.write_bytes(content)
    with pytest.raises(BackupFailed, match="nothing was"):
        restore(target, path)
    assert path.read_bytes() == before


async def test_missing_entries_are_found(inbox: SqliteInbox, path: Path, tmp_path: Path) -> None:
    """A backup that holds less than it says is refused."""
    target = tmp_path / "backup"
    back_up(path, target, {}, now=NOW)
    with contextlib.closing(apsw.Connection(str(target))) as connection:
        connection.execute("DELETE FROM entries WHERE key = 7")
    with pytest.raises(BackupFailed, match="should hold 100 entries and holds 99"):
        restore(target, tmp_path / "other.db")


async def test_other_files_are_refused(inbox: SqliteInbox, path: Path, tmp_path: Path) -> None:
    """What is no inbox, is of a newer gateway, or is the inbox itself, replaces nothing."""
    await inbox.close()
    other, newer, text = (tmp_path / name for name in ("other", "newer", "text"))
    with contextlib.closing(apsw.Connection(str(other))) as connection:
        connection.execute("CREATE TABLE t (a)")
    newer.write_bytes(path.read_bytes())
    with contextlib.closing(apsw.Connection(str(newer))) as connection:
        connection.pragma("user_version", sqlite_schema.SCHEMA + 1)
    text.write_text("no database at all, but long enough to be one" * 100)
    for file in (other, newer, text, tmp_path / "absent"):
        with pytest.raises(InboxUnsupported):
            restore(file, path)
    with pytest.raises(BackupFailed, match="the inbox itself"):
        restore(path, path)
    assert len(await _names(path)) == 100


async def test_an_older_schema(path: Path, tmp_path: Path) -> None:
    """A backup taken before an upgrade, by the new gateway or the old one, is upgraded when it is served."""
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        for step in sqlite_schema._STEPS[:3]:
            connection.execute(step)
        connection.pragma("application_id", sqlite_schema.APPLICATION_ID)
        connection.pragma("user_version", 3)
    back_up(path, tmp_path / "backup", {}, now=NOW)
    restore(tmp_path / "backup", tmp_path / "other.db")
    assert await _names(tmp_path / "other.db") == set()
