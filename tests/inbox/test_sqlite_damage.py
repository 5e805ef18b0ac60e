"""Inbox files that are damaged, cut short or gone when the inbox is opened, and what is kept and told then."""

import asyncio
from pathlib import Path

import apsw
import pytest

from gateway.errors import InboxUnavailable, InboxUnsupported
from gateway.history import Query
from gateway.inbox import sqlite_damage
from gateway.inbox.sqlite import SqliteInbox
from gateway.inbox.sqlite_connection import PAGE_BYTES
from gateway.inbox.sqlite_schema import APPLICATION_ID
from gateway.model import State
from tests.inbox.samples import LEASE, NOW, delivery, keep, settle_all


def open_at(path: Path, *, read_only: bool = False) -> SqliteInbox:
    """Open a SQLite inbox."""
    return SqliteInbox.open(path, dedupe_window_ms=1_000_000, read_only=read_only)


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """Leave the file of an inbox with entries and bodies that was closed in order."""
    inbox = open_at(tmp_path / "inbox.db")
    await inbox.put([delivery(f"evt_{n}", body=bytes(9_000)) for n in range(40)], NOW)
    await inbox.close()
    return tmp_path / "inbox.db"


def overwrite(path: Path, offset: int, data: bytes) -> None:
    """Change bytes in the middle of a file, as a failing disk would."""
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def content(path: Path) -> bytes:
    """Return the bytes of a file."""
    return path.read_bytes()


def listing(place: Path) -> list[str]:
    """Return the names of the files in a directory."""
    return sorted(file.name for file in place.iterdir())


def cut(path: Path) -> None:
    """Leave the first half of a file."""
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2 // PAGE_BYTES * PAGE_BYTES)


def copy(place: Path, to: Path) -> None:
    """Copy the files of an inbox that is being served, as a kill would leave them."""
    to.mkdir()
    for name in ("inbox.db", "inbox.db-wal", "inbox.db.lock"):
        (to / name).write_bytes((place / name).read_bytes())


def remove(path: Path) -> None:
    """Delete a file."""
    path.unlink()


def first_page(path: Path, name: str) -> int:
    """Return where the tree of a table or index starts in the file."""
    connection = apsw.Connection(str(path))
    page = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).get
    connection.close()
    assert isinstance(page, int)
    return (page - 1) * PAGE_BYTES


async def names(inbox: SqliteInbox) -> list[str]:
    """Return the delivery ids in the inbox, newest first."""
    return [history.entry.delivery.id for history in await inbox.search(Query(limit=99))]


async def killed(place: Path, to: Path) -> Path:
    """Put three entries, and return a file as a process leaves it that is killed with them in its WAL."""
    inbox = open_at(place / "inbox.db")
    await keep(inbox, "a", "b", "c")
    copy(place, to)
    await inbox.close()
    return to / "inbox.db"


async def serves_afresh(path: Path) -> SqliteInbox:
    """Open a damaged file and see that a fresh one serves, with the old one kept and told of."""
    before = content(path)
    inbox = open_at(path)
    assert inbox.kept_aside
    assert inbox.kept_aside.parent == path.parent
    assert inbox.kept_aside.name.startswith("inbox.db.corrupt-20")
    assert content(inbox.kept_aside) == before
    [alarm] = inbox.alarms
    assert str(inbox.kept_aside) in alarm
    assert await names(inbox) == []
    await keep(inbox, "new")
    return inbox


@pytest.mark.parametrize("part", [slice(0, 100), slice(0, 16), slice(16, 68)], ids=["all", "magic", "sizes"])
async def test_a_damaged_header(path: Path, part: slice) -> None:
    """A file whose header was overwritten, in whole or in part, is kept aside and a fresh one serves."""
    overwrite(path, part.start, b"\xff" * (part.stop - part.start))
    inbox = await serves_afresh(path)
    await inbox.close()
    again = open_at(path)
    assert (again.kept_aside, again.alarms) == (None, ())
    assert await names(again) == ["new"]
    await again.close()


@pytest.mark.parametrize("tree", ["sqlite_sequence", "entries", "entries_due", "dedupe", "bodies", "frozen"])
async def test_a_damaged_page(path: Path, tree: str) -> None:
    """Damage to the root of any table or index is found when the file is opened."""
    overwrite(path, first_page(path, tree), b"\xff" * PAGE_BYTES)
    await (await serves_afresh(path)).close()


async def test_a_damaged_schema(path: Path) -> None:
    """A first page that is garbage behind its header is found when the file is opened."""
    overwrite(path, 100, b"\xff" * (PAGE_BYTES - 100))
    await (await serves_afresh(path)).close()


async def test_a_file_cut_short(path: Path) -> None:
    """A file that lost its second half is kept aside."""
    cut(path)
    await (await serves_afresh(path)).close()


async def test_the_wal_is_kept_beside_its_file(tmp_path: Path, path: Path) -> None:
    """The WAL of a damaged file goes aside under the same name, so that SQLite can still recover from both."""
    lost = await killed(tmp_path, tmp_path / "copy")
    overwrite(lost, first_page(path, "frozen"), b"\xff" * PAGE_BYTES)
    wal = content(tmp_path / "copy" / "inbox.db-wal")
    again = open_at(lost)
    assert again.kept_aside
    assert content(Path(f"{again.kept_aside}-wal")) == wal
    await again.close()


async def test_a_file_that_never_was_an_inbox_is_refused(tmp_path: Path) -> None:
    """Something that is no database, where no inbox was ever served, is refused and stays where it is."""
    path = tmp_path / "inbox.db"
    (tmp_path / "inbox.db").write_bytes(b"\xff" * 5_000)
    for _ in range(2):
        with pytest.raises(InboxUnsupported, match=r"damaged or no SQLite database.*move it aside"):
            open_at(path)
    assert content(path) == b"\xff" * 5_000
    assert listing(tmp_path) == ["inbox.db", "inbox.db.lock"]


async def test_the_application_id_tells_a_damaged_inbox(tmp_path: Path) -> None:
    """A damaged file that was brought here without its lock file is known by the mark in its header."""
    path = tmp_path / "inbox.db"
    (tmp_path / "inbox.db").write_bytes(b"\xff" * 68 + APPLICATION_ID.to_bytes(4, "big") + b"\xff" * 5_000)
    await (await serves_afresh(path)).close()


async def test_a_reader_sets_nothing_aside(path: Path) -> None:
    """Opened for reading only, a damaged file is refused and stays."""
    overwrite(path, 0, b"\xff" * 100)
    with pytest.raises(InboxUnsupported, match="damaged"):
        open_at(path, read_only=True)
    assert content(path)[:100] == b"\xff" * 100


async def test_damage_beyond_the_quick_look(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the quick look has no time for ends the service when it is met, and the next start keeps the file aside."""
    monkeypatch.setattr(sqlite_damage, "QUICK_SECONDS", -1)
    monkeypatch.setattr(sqlite_damage, "_STEPS_BETWEEN_LOOKS", 1)
    overwrite(path, first_page(path, "bodies"), b"\xff" * PAGE_BYTES)
    inbox = open_at(path)
    assert inbox.kept_aside is None
    with pytest.raises(InboxUnavailable, match=r"started again|malformed"):
        await keep(inbox, "evt_new")
    assert inbox.failure
    await inbox.close()
    await (await serves_afresh(path)).close()


async def test_damage_that_a_read_meets(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that cannot be read ends the service too, so that leases do not fail on it for ever."""
    inbox = open_at(path)
    overwrite(path, first_page(path, "bodies"), b"\xff" * PAGE_BYTES)
    with pytest.raises(InboxUnavailable):
        await inbox.lease(40, LEASE, NOW)
    assert inbox.failure
    with pytest.raises(InboxUnavailable, match="started again"):
        await keep(inbox, "evt_new")
    await inbox.close()
    again = open_at(path)
    assert again.kept_aside
    await again.close()


async def test_damage_met_while_opening(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damage that the quick look missed and the opening itself meets is looked for thoroughly at once."""
    monkeypatch.setattr(sqlite_damage, "QUICK_SECONDS", -1)
    monkeypatch.setattr(sqlite_damage, "_STEPS_BETWEEN_LOOKS", 1)
    overwrite(path, first_page(path, "entries_leased"), b"\xff" * PAGE_BYTES)
    inbox = open_at(path)
    assert inbox.kept_aside
    await keep(inbox, "new")
    assert await names(inbox) == ["new"]
    await inbox.close()


async def test_a_failing_disk_alone_sets_nothing_aside(path: Path) -> None:
    """A mark of damage makes the next start look at everything, and a file found sound serves on."""
    inbox = open_at(path)
    assert inbox._serving
    inbox._serving.opened.lock.mark_damage()
    await inbox.close()
    again = open_at(path)
    assert (again.kept_aside, again.alarms) == (None, ())
    assert len(await names(again)) == 40
    await again.close()


async def test_a_wal_that_was_deleted_is_told(tmp_path: Path, path: Path) -> None:
    """When what was committed last is gone with its WAL, that and how much is told, once; the inbox serves."""
    left = await killed(tmp_path, tmp_path / "copy")
    remove(tmp_path / "copy" / "inbox.db-wal")
    inbox = open_at(left)
    [alarm] = inbox.alarms
    assert "ends at entry 40, although entry 43 was committed" in alarm
    assert "up to 3 accepted deliveries" in alarm
    assert inbox.kept_aside is None
    await keep(inbox, "new")
    await inbox.close()
    again = open_at(left)
    assert again.alarms == ()
    await again.close()


async def test_a_file_that_was_deleted_is_told(path: Path) -> None:
    """When the whole file is gone, or an older copy in its place, that is told."""
    remove(path)
    inbox = open_at(path)
    assert "ends at entry 0, although entry 40 was committed" in inbox.alarms[0]
    await inbox.close()


async def test_a_kill_alone_is_no_alarm(tmp_path: Path, path: Path) -> None:
    """A process that was killed leaves its WAL, and the next one finds all and has nothing to tell."""
    inbox = open_at(await killed(tmp_path, tmp_path / "copy"))
    assert inbox.alarms == ()
    assert (await names(inbox))[:3] == ["c", "b", "a"]
    await inbox.close()


async def test_a_refused_put_is_no_loss(path: Path) -> None:
    """A commit that was undone leaves no mark: nothing is missed that was never there."""
    inbox = open_at(path)
    await inbox._write(lambda db: db.pragma("max_page_count", db.pragma("page_count") + 2))
    puts = [inbox.put([delivery(f"big_{n}", body=bytes(50_000))], NOW) for n in range(3)]
    assert all(isinstance(refused, InboxUnavailable) for refused in await asyncio.gather(*puts, return_exceptions=True))
    await inbox.close()
    again = open_at(path)
    assert again.alarms == ()
    await settle_all(again, State.FORWARDED)
    while await again.prune(NOW + 1, NOW + 1_000_001):
        pass
    await again.close()
    emptied = open_at(path)
    assert emptied.alarms == ()
    await emptied.close()
