"""Disks that are full, that fail and that lose their power under a SQLite inbox."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import apsw
import pytest

from gateway.errors import InboxError, InboxUnavailable, InboxUnsupported
from gateway.history import Query
from gateway.inbox import sqlite_wal
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import State
from gateway.torture.disk import remembered
from tests.inbox.samples import LEASE, NOW, answered, delivery, keep, settle_all

BIG = b"x" * 80_000


def open_at(path: Path) -> SqliteInbox:
    """Open a SQLite inbox."""
    return SqliteInbox.open(path, dedupe_window_ms=1_000_000)


async def on_connection(inbox: SqliteInbox, operation: Callable[[apsw.Connection], object]) -> None:
    """Do something to the writer's connection in its own thread."""
    await inbox._write(operation)


async def put_until_failure(inbox: SqliteInbox, worker: int) -> list[str]:
    """Put one delivery after another, large ones among them, until the inbox refuses; return what it acknowledged."""
    acknowledged: list[str] = []
    for n in range(60):
        name = f"evt_{worker}_{n}"
        try:
            await inbox.put([delivery(name, body=BIG if n % 7 == 0 else b"{}")], NOW)
        except InboxUnavailable:
            return acknowledged
        acknowledged.append(name)
    return acknowledged


async def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    """Without space a put is refused whole, in one sentence; with space again the same inbox goes on."""
    inbox = open_at(tmp_path / "inbox.db")
    await keep(inbox, "before")
    await on_connection(inbox, lambda db: db.pragma("max_page_count", db.pragma("page_count") + 5))
    with pytest.raises(InboxUnavailable, match="full"):
        await inbox.put([delivery("small"), delivery("big", body=BIG)], NOW)
    assert inbox.failure is None
    assert [history.entry.delivery.id for history in await inbox.search(Query())] == ["before"]
    await on_connection(inbox, lambda db: db.pragma("max_page_count", 1_000_000))
    [again] = await inbox.put([delivery("big", body=BIG)], NOW)
    assert not again.duplicate
    await settle_all(inbox, State.FORWARDED)
    await inbox.close()


async def test_one_that_does_not_fit_fails_alone(tmp_path: Path) -> None:
    """Of puts that share a commit on a nearly full disk, only the one that does not fit is refused."""
    inbox = open_at(tmp_path / "inbox.db")
    await keep(inbox, "settled")
    [lease] = await inbox.lease(1, LEASE, NOW)
    await on_connection(inbox, lambda db: db.pragma("max_page_count", db.pragma("page_count") + 5))
    puts = [inbox.put([delivery("a")], NOW), inbox.put([delivery("b", body=BIG)], NOW), inbox.put([delivery("c")], NOW)]
    settled = inbox.settle([(lease, answered(lease, events=()))], NOW)
    first, second, third, stands = await asyncio.gather(*puts, settled, return_exceptions=True)
    assert isinstance(second, InboxUnavailable)
    assert [type(first), type(third), stands] == [list, list, [None]]
    await inbox.close()


async def test_a_failed_fsync_ends_the_service(tmp_path: Path) -> None:
    """After an fsync that failed nothing is acknowledged, though later ones succeed: the process must be restarted."""
    with remembered() as disk:
        inbox = open_at(tmp_path / "inbox.db")
        await keep(inbox, "kept")
        [lease] = await inbox.lease(1, LEASE, NOW)
        disk.fail_after(0)
        puts = [inbox.put([delivery(f"lost_{n}")], NOW) for n in range(5)]
        answers = await asyncio.gather(*puts, return_exceptions=True)
        assert [type(answer) for answer in answers] == [InboxUnavailable] * 5
        assert isinstance(inbox.failure, InboxError)
        assert "check the disk" in str(inbox.failure)
        disk.fail_after(None)
        with pytest.raises(InboxUnavailable, match="started again"):
            await keep(inbox, "later")
        with pytest.raises(InboxUnavailable):
            await inbox.lease(1, LEASE, NOW)
        with pytest.raises(InboxUnavailable):
            await inbox.settle([(lease, answered(lease))], NOW)
        await inbox.close()
        again = open_at(tmp_path / "inbox.db")
        assert again.failure is None
        assert "kept" in [history.entry.delivery.id for history in await again.search(Query())]
        await again.close()


async def test_a_writer_that_ends_tells_those_who_wait(tmp_path: Path) -> None:
    """When the writing thread ends for want of memory, who waits is told and the service ends; the kept stays."""
    short_of_memory = threading.Event()

    def clock() -> float:
        if short_of_memory.is_set():
            raise MemoryError
        return time.monotonic()

    inbox = SqliteInbox.open(tmp_path / "inbox.db", dedupe_window_ms=1_000_000, clock=clock)
    await keep(inbox, "kept")
    puts = [inbox.put([delivery(f"lost_{n}")], NOW) for n in range(3)]
    short_of_memory.set()
    answers = await asyncio.wait_for(asyncio.gather(*puts, return_exceptions=True), 10)
    assert {type(answer) for answer in answers} <= {InboxUnavailable, list}
    assert InboxUnavailable in {type(answer) for answer in answers}
    assert "MemoryError" in str(inbox.failure)
    with pytest.raises(InboxUnavailable, match="start again"):
        await keep(inbox, "later")
    await inbox.close()
    again = open_at(tmp_path / "inbox.db")
    assert "kept" in [history.entry.delivery.id for history in await again.search(Query())]
    await again.close()


async def test_a_checkpoint_that_fails_ends_the_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed stays acknowledged when the checkpoint after it cannot be synced, and no more is accepted."""
    monkeypatch.setattr(sqlite_wal, "CHECKPOINT_PAGES", 10)
    with remembered() as disk:
        inbox = open_at(tmp_path / "inbox.db")
        disk.fail_after(2)
        acknowledged = await put_until_failure(inbox, 1)
        assert inbox.failure
        assert 0 < len(acknowledged) < 60
        disk.fail_after(None)
        await inbox.close()
        again = open_at(tmp_path / "inbox.db")
        found = {history.entry.delivery.id for history in await again.search(Query(limit=999))}
        assert found >= set(acknowledged)
        await again.close()


@pytest.mark.parametrize("luck", [None, Random(7)], ids=["only_synced_bytes_survive", "some_others_survive_too"])
async def test_power_cuts_lose_nothing_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, luck: Random | None
) -> None:
    """Whichever sync is the last before the power goes, every acknowledged put is there afterwards."""
    monkeypatch.setattr(sqlite_wal, "CHECKPOINT_PAGES", 60)
    for last_sync in range(24):
        with remembered() as disk:
            inbox = open_at(tmp_path / f"{last_sync}.db")
            disk.fail_after(last_sync)
            answers = await asyncio.gather(*(put_until_failure(inbox, worker) for worker in range(3)))
            survivors = tmp_path / f"after_{last_sync}"
            disk.after_power_cut(survivors, luck)
            disk.fail_after(None)
            await inbox.close()
        again = open_at(survivors / f"{last_sync}.db")
        await on_connection(again, check_integrity)
        found = {history.entry.delivery.id for history in await again.search(Query(limit=999))}
        assert found >= {name for names in answers for name in names}, f"after sync {last_sync}"
        await again.close()


def check_integrity(connection: apsw.Connection) -> None:
    """Let SQLite check every page and index."""
    assert connection.pragma("integrity_check") == "ok"


async def test_the_power_cut_is_real(tmp_path: Path) -> None:
    """The disk of these tests does lose what a weaker setting leaves unsynced."""
    with remembered() as disk:
        connection = apsw.Connection(str(tmp_path / "weak.db"))
        connection.pragma("journal_mode", "wal")
        connection.execute("CREATE TABLE kept (n)")
        connection.wal_checkpoint()
        connection.pragma("synchronous", 1)
        connection.execute("INSERT INTO kept VALUES (1)")
        disk.after_power_cut(tmp_path / "after")
        connection.close()
    survivor = apsw.Connection(str(tmp_path / "after" / "weak.db"))
    assert survivor.execute("SELECT count(*) FROM kept").get == 0
    survivor.close()


async def test_a_power_cut_while_the_file_is_made_leaves_no_half(tmp_path: Path) -> None:
    """Whichever sync of a first opening is the last, what survives opens as an empty inbox and serves."""
    for last_sync in range(8):
        with remembered() as disk:
            disk.fail_after(last_sync)
            with contextlib.suppress(InboxUnsupported):
                await open_at(tmp_path / f"{last_sync}.db").close()
            survivors = tmp_path / f"after_{last_sync}"
            disk.after_power_cut(survivors)
        again = open_at(survivors / f"{last_sync}.db")
        await keep(again, "evt_1")
        assert [history.entry.delivery.id for history in await again.search(Query())] == ["evt_1"]
        await again.close()
