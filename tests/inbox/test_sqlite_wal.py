"""A WAL that grew under a reader is cut when the reader is gone, and no reader of ours holds it for long."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from gateway.errors import InboxUnavailable
from gateway.history import Query
from gateway.inbox import sqlite_wal, sqlite_writer
from gateway.inbox.sqlite import SqliteInbox
from tests.inbox.eventually import eventually
from tests.inbox.samples import NOW, delivery

LIMIT = 400_000


@pytest.fixture
async def inbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SqliteInbox]:
    """Open an inbox that checkpoints every twenty pages, cuts its WAL at a small size and idles for moments.

    Twenty more are the most that come during a checkpoint, so that what comes in all is below that size.
    """
    monkeypatch.setattr(sqlite_wal, "CHECKPOINT_PAGES", 20)
    monkeypatch.setattr(sqlite_wal, "MOST_PAGES", 20)
    monkeypatch.setattr(sqlite_wal, "TRUNCATE_BYTES", LIMIT)
    monkeypatch.setattr(sqlite_writer, "IDLE_SECONDS", 0.02)
    inbox = SqliteInbox.open(tmp_path / "inbox.db", dedupe_window_ms=1_000_000)
    yield inbox
    await inbox.close()


@pytest.fixture
def other(tmp_path: Path, inbox: SqliteInbox) -> apsw.Connection:
    """Open the file as another program would, for reading."""
    return apsw.Connection(str(tmp_path / "inbox.db"), flags=apsw.SQLITE_OPEN_READONLY)


async def puts(inbox: SqliteInbox, prefix: str, number: int = 30) -> None:
    """Put so many deliveries of five pages each, a commit each."""
    for n in range(number):
        await inbox.put([delivery(f"{prefix}_{n}", body=bytes(20_000))], NOW)


async def test_the_wal_is_cut_after_a_long_reader(inbox: SqliteInbox, other: apsw.Connection) -> None:
    """While a reader stays the WAL grows and puts go on; when it leaves the space is given back, without a put."""
    other.execute("BEGIN")
    assert other.execute("SELECT count(*) FROM entries").get == 0
    await puts(inbox, "a", 60)
    assert inbox.wal_bytes > LIMIT
    other.close()
    await eventually(lambda: inbox.wal_bytes == 0)
    assert len(await inbox.search(Query(limit=99))) == 60
    await puts(inbox, "b", 3)
    assert 0 < inbox.wal_bytes < LIMIT


async def test_a_busy_inbox_is_cut_too(inbox: SqliteInbox, other: apsw.Connection) -> None:
    """An inbox that never idles gives the space back after a checkpoint that moved everything."""
    other.execute("BEGIN")
    assert other.execute("SELECT count(*) FROM entries").get == 0
    await puts(inbox, "a", 60)
    grown = inbox.wal_bytes
    other.close()
    await puts(inbox, "b", 90)
    assert inbox.wal_bytes < LIMIT < grown


async def test_a_reader_that_came_again_holds_up_nobody(
    inbox: SqliteInbox, other: apsw.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A WAL that cannot be cut since somebody reads it is left for later, at once and without a fault."""
    looks: list[Path] = []

    def large(path: Path) -> int:
        looks.append(path)
        return LIMIT + 1

    other.execute("BEGIN")
    assert other.execute("SELECT count(*) FROM entries").get == 0
    await puts(inbox, "a", 60)
    other.execute("COMMIT; BEGIN")
    assert other.execute("SELECT count(*) FROM entries").get == 60
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_wal, "wal_bytes", large)
        async with asyncio.timeout(3):
            await eventually(lambda: len(looks) > 2)
    await puts(inbox, "b")
    assert inbox.wal_bytes > LIMIT
    assert inbox.failure is None
    other.close()
    await eventually(lambda: inbox.wal_bytes == 0)


async def test_our_own_reader_lets_the_wal_go(inbox: SqliteInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read of the gateway's own ends at its limit of time, and with it its hold on the WAL."""
    await puts(inbox, "a", 5)
    inbox._reader._longest_seconds = 0.05
    endless = "WITH RECURSIVE n(i) AS (SELECT key FROM entries UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(InboxUnavailable, match="took too long"):
        await inbox._reader.run(lambda db: db.execute(endless).get)
    await puts(inbox, "b", 60)
    await eventually(lambda: inbox.wal_bytes < LIMIT)
