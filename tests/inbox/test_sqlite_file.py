"""Which files and libraries a SQLite inbox takes, and what it does to them."""

import gzip
import os
import stat
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from gateway.errors import InboxLocked, InboxUnavailable, InboxUnsupported
from gateway.history import Query
from gateway.inbox.lock import ServingLock
from gateway.inbox.sqlite import SqliteInbox
from gateway.inbox.sqlite_connection import PAGE_BYTES, is_safe, require_safe_library
from gateway.inbox.sqlite_schema import APPLICATION_ID, SCHEMA
from gateway.model import ReplayMode, State
from tests.inbox.samples import LEASE, NOW, delivery, keep, settle_all


def open_at(path: Path, *, read_only: bool = False) -> SqliteInbox:
    """Open a SQLite inbox."""
    return SqliteInbox.open(path, dedupe_window_ms=1_000_000, read_only=read_only)


def database(path: Path, *statements: str) -> None:
    """Make a SQLite database, or change one, from outside."""
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement)
    connection.close()


def modes(directory: Path) -> dict[str, int]:
    """Return the permissions of each file."""
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.iterdir()}


@pytest.mark.parametrize(
    ("version", "safe"),
    [
        ((3, 40, 1), False),
        ((3, 44, 5), False),
        ((3, 44, 6), True),
        ((3, 44, 7), False),
        ((3, 46, 1), False),
        ((3, 50, 4), False),
        ((3, 50, 7), True),
        ((3, 51, 0), False),
        ((3, 51, 2), False),
        ((3, 51, 3), True),
        ((3, 51, 10), True),
        ((3, 52, 0), True),
        ((4, 0, 0), True),
    ],
)
def test_versions_of_sqlite(version: tuple[int, int, int], safe: bool) -> None:  # noqa: FBT001 - a column of the table
    """Versions with the WAL-reset fault are refused in a sentence that names the ones to take."""
    assert is_safe(version) is safe
    text = ".".join(map(str, version))
    if safe:
        require_safe_library(text)
    else:
        with pytest.raises(InboxUnsupported, match=rf"SQLite {text} can lose .* 3\.51\.3"):
            require_safe_library(text)


async def test_the_file_is_private_and_marked(tmp_path: Path) -> None:
    """A new inbox is readable by its user alone and says what program and schema it belongs to."""
    path = tmp_path / "inbox.db"
    inbox = open_at(path)
    await keep(inbox, "evt_1")
    assert modes(tmp_path) == dict.fromkeys(["inbox.db", "inbox.db.lock", "inbox.db-shm", "inbox.db-wal"], 0o600)
    await inbox.close()
    assert modes(tmp_path) == dict.fromkeys(["inbox.db", "inbox.db.lock"], 0o600)
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    names = ("application_id", "user_version", "page_size", "auto_vacuum", "journal_mode", "integrity_check")
    assert [connection.pragma(name) for name in names] == [APPLICATION_ID, SCHEMA, PAGE_BYTES, 2, "wal", "ok"]
    connection.close()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("synchronous", 2),
        ("journal_mode", "wal"),
        ("mmap_size", 0),
        ("wal_autocheckpoint", 0),
        ("trusted_schema", 0),
        ("cell_size_check", 1),
        ("fullfsync", 1),
    ],
)
async def test_settings_of_the_writer(tmp_path: Path, name: str, expected: object) -> None:
    """The connection that writes has the settings that durability rests on, also on a file that was there."""
    await open_at(tmp_path / "inbox.db").close()
    inbox = open_at(tmp_path / "inbox.db")
    assert await inbox._write(lambda db: db.pragma(name)) == expected
    await inbox.close()


async def test_a_second_server_is_refused(tmp_path: Path) -> None:
    """A second server of one file is refused with the pid of the first, also through a link; after a close it may."""
    inbox = open_at(tmp_path / "inbox.db")
    (tmp_path / "link.db").symlink_to(tmp_path / "inbox.db")
    for name in ("inbox.db", "link.db"):
        with pytest.raises(InboxLocked, match=rf"inbox\.db is already served by process {os.getpid()} "):
            open_at(tmp_path / name)
    await inbox.close()
    await inbox.close()
    await open_at(tmp_path / "link.db").close()


def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    """A lock is refused while another process holds it and is free when that process has died."""
    script = (
        "import sys, pathlib; from gateway.inbox.lock import ServingLock; "
        "lock = ServingLock.acquire(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(  # noqa: S603 - our own interpreter and script
        [sys.executable, "-c", script, str(tmp_path / "inbox.db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(InboxLocked, match=f"process {holder.pid} "):
            ServingLock.acquire(tmp_path / "inbox.db")
        holder.kill()
    ServingLock.acquire(tmp_path / "inbox.db").release()


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        (["CREATE TABLE other (n)"], "another program"),
        (["PRAGMA application_id = 77"], "another program"),
        ([f"PRAGMA application_id = {APPLICATION_ID}", f"PRAGMA user_version = {SCHEMA + 1}"], "newer gateway"),
    ],
)
@pytest.mark.parametrize("read_only", [False, True])
def test_files_of_others_are_refused(tmp_path: Path, statements: list[str], sentence: str, *, read_only: bool) -> None:
    """A database of another program and one of a newer gateway are refused and left exactly as they are."""
    path = tmp_path / "inbox.db"
    database(path, "VACUUM", *statements)
    before = path.read_bytes()
    with pytest.raises(InboxUnsupported, match=sentence):
        open_at(path, read_only=read_only)
    assert path.read_bytes() == before
    ServingLock.acquire(path).release()


async def test_a_reader_beside_the_server(tmp_path: Path) -> None:
    """Opened for reading only, a served file can be searched as it changes; nothing is written, locked or moved."""
    path = tmp_path / "inbox.db"
    serving = open_at(path)
    [key] = await keep(serving, "evt_1")
    reading = open_at(path, read_only=True)
    assert [history.entry.key for history in await reading.search(Query())] == [key]
    await keep(serving, "evt_2")
    history = await reading.get(key)
    assert history
    assert history.entry.delivery == delivery("evt_1")
    assert (await reading.counts()).by_source == {"acme": {State.PENDING: 2}}
    assert reading.failure is None
    changes = [
        reading.put([delivery("evt_3")], NOW),
        reading.lease(1, LEASE, NOW),
        reading.settle([], NOW),
        reading.replay(Query(), ReplayMode.RESEND, NOW),
        reading.prune(NOW, NOW),
    ]
    for change in changes:
        with pytest.raises(InboxUnavailable, match="for reading only"):
            await change
    wal = (tmp_path / "inbox.db-wal").stat().st_size
    await reading.close()
    assert (tmp_path / "inbox.db-wal").stat().st_size == wal > 0
    await keep(serving, "evt_4")
    await serving.close()


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    """For reading only, a missing file and one of an older schema are refused, and none is made."""
    with pytest.raises(InboxUnsupported, match="there is no inbox at"):
        open_at(tmp_path / "inbox.db", read_only=True)
    assert list(tmp_path.iterdir()) == []
    database(tmp_path / "inbox.db")
    (tmp_path / "inbox.db").touch()
    with pytest.raises(InboxUnsupported, match="older schema"):
        open_at(tmp_path / "inbox.db", read_only=True)


async def test_a_compressed_body_is_stored_once(tmp_path: Path) -> None:
    """What can be had by decompressing the body takes no space of its own."""
    inbox = open_at(tmp_path / "inbox.db")
    content = b"0123456789" * 100_000
    await inbox.put([delivery(body=gzip.compress(content), content=content, headers={"content-encoding": "gzip"})], NOW)
    await inbox.close()
    assert (tmp_path / "inbox.db").stat().st_size < 400_000


async def test_a_rotten_body_stops_no_lease(tmp_path: Path) -> None:
    """A compressed body that no longer decompresses is leased as it is, for its own transform to refuse."""
    inbox = open_at(tmp_path / "inbox.db")
    sent = delivery("evt_1", body=gzip.compress(b"{}"), content=b"{}", headers={"content-encoding": "gzip"})
    await inbox.put([sent, delivery("evt_2")], NOW)
    await inbox._write(lambda db: db.execute("UPDATE bodies SET body = x'00' WHERE key = 1"))
    rotten, sound = await inbox.lease(2, LEASE, NOW)
    assert (rotten.entry.delivery.content, sound.entry.delivery) == (b"\0", delivery("evt_2"))
    await inbox.close()


async def test_a_file_that_turns_read_only_is_named(tmp_path: Path) -> None:
    """A put into a file that may not be written is refused in a sentence, and works when it may again."""
    inbox = open_at(tmp_path / "inbox.db")
    assert inbox._serving
    inbox._serving.opened.connection.pragma("query_only", 1)
    with pytest.raises(InboxUnavailable, match="check its permissions"):
        await keep(inbox, "evt_1")
    inbox._serving.opened.connection.pragma("query_only", 0)
    await keep(inbox, "evt_1")
    await inbox.close()


async def test_a_prune_gives_the_space_back(tmp_path: Path) -> None:
    """The file shrinks when bodies go."""
    path = tmp_path / "inbox.db"
    inbox = open_at(path)
    await inbox.put([delivery(f"evt_{n}", body=bytes(100_000)) for n in range(10)], NOW)
    await settle_all(inbox, State.FORWARDED)
    await inbox.close()
    assert path.stat().st_size > 1_000_000
    inbox = open_at(path)
    assert await inbox.prune(NOW + 1, NOW + 1_000_001) == 30
    await inbox.close()
    assert path.stat().st_size < 400_000


async def test_leases_end_with_the_process_that_held_them(tmp_path: Path) -> None:
    """What was leased when the process ended is due at once for the next one, which alone serves the file."""
    first = open_at(tmp_path / "inbox.db")
    await keep(first, "a", "b")
    assert len(await first.lease(10, LEASE, NOW)) == 2
    await first.close()
    second = open_at(tmp_path / "inbox.db")
    again = await second.lease(10, LEASE, NOW)
    assert [lease.entry.delivery.id for lease in again] == ["a", "b"]
    await second.close()
