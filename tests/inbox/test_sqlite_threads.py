"""How operations share commits, what a waiter's end means for the others, and what a close still does."""

import asyncio
import threading
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from gateway.errors import InboxUnavailable
from gateway.history import Query
from gateway.inbox import sqlite_search, sqlite_wal, sqlite_writer
from gateway.inbox.intake import Bounds
from gateway.inbox.sqlite import SqliteInbox
from gateway.inbox.sqlite_connection import PAGE_BYTES, open_reader
from gateway.inbox.sqlite_reader import Reader
from gateway.model import State
from tests.inbox.hold import Hold
from tests.inbox.samples import LEASE, NOW, answered, delivery, keep
from tests.inbox.watch import watch


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[SqliteInbox]:
    """Open a SQLite inbox with room for three waiting operations."""
    inbox = SqliteInbox.open(tmp_path / "inbox.db", dedupe_window_ms=1_000_000, bounds=Bounds(waiting=3))
    yield inbox
    await inbox.close()


@pytest.fixture
async def hold(inbox: SqliteInbox) -> Hold:
    """Hold the writer thread."""
    hold = Hold(inbox)
    await hold.taken()
    return hold


async def started(inbox: SqliteInbox, *names: str) -> list[asyncio.Task[list[int]]]:
    """Start one put per name and let each get into the queue."""
    tasks = [asyncio.create_task(keep(inbox, name)) for name in names]
    await asyncio.sleep(0)
    return tasks


async def puts(inbox: SqliteInbox, number: int) -> None:
    """Put deliveries one by one, a commit each."""
    for _ in range(number):
        await keep(inbox, uuid.uuid4().hex)


def watch_commits(inbox: SqliteInbox) -> list[str]:
    """Return a list that gets one item for each commit; a held operation's own commit is the first."""
    return watch(inbox, "COMMIT")


async def names(inbox: SqliteInbox) -> list[str]:
    """Return the delivery ids in the inbox, oldest first."""
    return [history.entry.delivery.id for history in await inbox.search(Query())][::-1]


async def test_waiting_operations_share_a_commit(inbox: SqliteInbox, hold: Hold) -> None:
    """Puts that wait together are committed together, equal ones as one entry and its duplicates."""
    tasks = await started(inbox, "a", "a", "b")
    commits = watch_commits(inbox)
    await hold.release()
    keys = [(await task)[0] for task in tasks]
    assert keys[0] == keys[1] != keys[2]
    assert len(commits) == 2
    assert (await inbox.counts()).duplicates == {"acme": 1}


async def test_a_commit_has_a_limit(inbox: SqliteInbox, hold: Hold, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes beyond the limit of one commit is in the next."""
    monkeypatch.setattr(sqlite_writer, "GROUP_LIMIT", 2)
    tasks = await started(inbox, "a", "b", "c")
    commits = watch_commits(inbox)
    await hold.release()
    await asyncio.gather(*tasks)
    assert len(commits) == 3
    assert await names(inbox) == ["a", "b", "c"]


async def test_nothing_is_told_before_the_commit(inbox: SqliteInbox, hold: Hold) -> None:
    """While the commit that holds it has not been made, a put does not return."""
    [task] = await started(inbox, "a")
    done, _ = await asyncio.wait([task], timeout=0.02)
    assert not done
    assert await names(inbox) == []
    await hold.release()
    await task
    assert await names(inbox) == ["a"]


async def test_a_full_queue_refuses_at_once(inbox: SqliteInbox, hold: Hold) -> None:
    """Beyond the bound a put is refused without waiting; a forwarder's lease and settle still get their turn."""
    tasks = await started(inbox, "a", "b", "c")
    with pytest.raises(InboxUnavailable, match="3 operations wait"):
        await keep(inbox, "d")
    lease = asyncio.create_task(inbox.lease(9, LEASE, NOW))
    await asyncio.sleep(0)
    await hold.release()
    await asyncio.gather(*tasks)
    assert len(await lease) == 3
    await keep(inbox, "d")
    assert await names(inbox) == ["a", "b", "c", "d"]


async def test_a_cancelled_waiter_disturbs_nobody(inbox: SqliteInbox, hold: Hold) -> None:
    """When one waiter of a group gives up, the others are told as ever, and what it asked for is still done."""
    first, gone, last = await started(inbox, "a", "b", "c")
    gone.cancel()
    await asyncio.gather(gone, return_exceptions=True)
    await hold.release()
    await asyncio.gather(first, last)
    assert gone.cancelled()
    assert await names(inbox) == ["a", "b", "c"]


async def test_an_operation_that_fails_fails_alone(inbox: SqliteInbox, hold: Hold) -> None:
    """One operation's fault reaches its own waiter, undoes its own writes, and leaves the group to commit."""
    first, _ = await started(inbox, "a", "b")
    broken = asyncio.create_task(inbox.put([delivery("half"), delivery("broken", headers={"x": "\ud800"})], NOW))
    await asyncio.sleep(0)
    await hold.release()
    with pytest.raises(TypeError):
        await broken
    await first
    assert await names(inbox) == ["a", "b"]
    assert inbox.failure is None


async def test_settlements_of_one_commit_share_their_statements(inbox: SqliteInbox) -> None:
    """Two operations whose leases are all held are one statement, each at its own time."""
    await keep(inbox, "a", "b", "c")
    a, b, c = await inbox.lease(3, LEASE, NOW)
    hold = Hold(inbox)
    await hold.taken()
    told = ([(a, answered(a)), (b, answered(b))], [(c, answered(c))])
    tasks = [asyncio.create_task(inbox.settle(each, NOW + n)) for n, each in enumerate(told)]
    await asyncio.sleep(0)
    statements = watch(inbox, "settlements")
    await hold.release()
    assert await asyncio.gather(*tasks) == [[None, None], [None]]
    assert len(statements) == 1
    settled = {history.entry.delivery.id: history.settled_at for history in await inbox.search(Query())}
    assert settled == {"a": NOW, "b": NOW, "c": NOW + 1}


async def test_settlements_of_one_commit_are_told_apart(inbox: SqliteInbox) -> None:
    """Of two operations that settle one lease the first does, each at its own time."""
    await keep(inbox, "a", "b", "c")
    a, b, c = await inbox.lease(3, LEASE, NOW)
    hold = Hold(inbox)
    await hold.taken()
    told = ([(a, answered(a)), (b, answered(b))], [(c, answered(c)), (b, answered(b, reason="late"))])
    tasks = [asyncio.create_task(inbox.settle(each, NOW + n)) for n, each in enumerate(told)]
    await asyncio.sleep(0)
    await hold.release()
    first, second = await asyncio.gather(*tasks)
    assert first == [None, None]
    assert second[0] is None
    assert str(second[1]).startswith(f"the lease on entry {b.entry.key} is no longer held")
    settled = {history.entry.delivery.id: history for history in await inbox.search(Query())}
    assert {name: history.settled_at for name, history in settled.items()} == {"a": NOW, "b": NOW, "c": NOW + 1}
    assert settled["b"].entry.reason == ""


async def test_a_settlement_that_fails_fails_alone(inbox: SqliteInbox) -> None:
    """One operation with a fault is undone, and those that share its statements are done without it."""
    await keep(inbox, "a", "b")
    a, b = await inbox.lease(2, LEASE, NOW)
    hold = Hold(inbox)
    await hold.taken()
    told = ([(a, answered(a))], [(b, answered(b, reason="\ud800"))])
    tasks = [asyncio.create_task(inbox.settle(each, NOW)) for each in told]
    await asyncio.sleep(0)
    await hold.release()
    first, second = await asyncio.gather(*tasks, return_exceptions=True)
    assert first == [None]
    assert isinstance(second, UnicodeEncodeError)
    states = {history.entry.delivery.id: history.entry.state for history in await inbox.search(Query())}
    assert states == {"a": State.FORWARDED, "b": State.LEASED}


async def test_a_close_finishes_what_was_accepted(tmp_path: Path, inbox: SqliteInbox, hold: Hold) -> None:
    """What waits when the inbox is closed is still stored and told; what comes after is refused."""
    tasks = await started(inbox, "a", "b")
    closing = asyncio.create_task(inbox.close())
    await asyncio.sleep(0)
    with pytest.raises(InboxUnavailable, match="closed"):
        await keep(inbox, "late")
    with pytest.raises(InboxUnavailable, match="closed"):
        await inbox.search(Query())
    await hold.release()
    await asyncio.gather(closing, *tasks)
    again = SqliteInbox.open(tmp_path / "inbox.db", dedupe_window_ms=1)
    assert await names(again) == ["a", "b"]
    await again.close()


async def test_another_writer_of_the_file_is_outwaited_or_named(tmp_path: Path, inbox: SqliteInbox) -> None:
    """While a foreign program holds the file for writing a put is refused in a sentence, and works again after."""
    await inbox._write(lambda db: db.set_busy_timeout(1))
    other = apsw.Connection(str(tmp_path / "inbox.db"))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(InboxUnavailable, match="another process holds"):
        await keep(inbox, "a")
    other.execute("ROLLBACK")
    other.close()
    await keep(inbox, "a")
    assert inbox.failure is None


async def test_the_wal_stays_small(tmp_path: Path, inbox: SqliteInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer moves the WAL into the file as it goes, so the WAL is used again and does not grow."""
    monkeypatch.setattr(sqlite_wal, "CHECKPOINT_PAGES", 20)
    monkeypatch.setattr(sqlite_wal, "MOST_PAGES", 60)
    inbox._serving.writer._checkpoints._due_at = 20  # type: ignore[union-attr]  # it is serving
    await puts(inbox, 200)
    assert (tmp_path / "inbox.db-wal").stat().st_size < 160 * PAGE_BYTES


async def test_a_reader_in_the_way_holds_up_nobody(
    tmp_path: Path, inbox: SqliteInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a foreign reader pins the WAL it grows and every put works; when the reader is gone it stops growing."""
    monkeypatch.setattr(sqlite_wal, "CHECKPOINT_PAGES", 20)
    monkeypatch.setattr(sqlite_wal, "MOST_PAGES", 60)
    other = apsw.Connection(str(tmp_path / "inbox.db"))
    other.execute("BEGIN")
    assert other.execute("SELECT count(*) FROM entries").get == 0
    inbox._serving.writer._checkpoints._due_at = 20  # type: ignore[union-attr]  # it is serving
    await puts(inbox, 100)
    grown = (tmp_path / "inbox.db-wal").stat().st_size
    other.execute("COMMIT")
    other.close()
    await puts(inbox, 300)
    assert (tmp_path / "inbox.db-wal").stat().st_size < grown + 160 * PAGE_BYTES
    assert inbox.failure is None


async def test_a_read_that_takes_too_long_is_stopped(tmp_path: Path, inbox: SqliteInbox) -> None:
    """A search beyond its time is stopped with a sentence, and the next one works."""
    await inbox.put([delivery(f"evt_{n}") for n in range(5_000)], NOW)
    reader = Reader(open_reader(tmp_path / "inbox.db"), longest_seconds=0)
    with pytest.raises(InboxUnavailable, match="narrow it"):
        await reader.run(lambda db: sqlite_search.search(db, Query(type="nothing", limit=9)))
    assert await reader.run(lambda db: db.execute("SELECT 1").get) == 1
    reader.stop_accepting()
    reader.close()


async def test_a_long_search_holds_up_no_lease(inbox: SqliteInbox) -> None:
    """While a search runs, entries are leased with their bodies."""
    await keep(inbox, "a")
    started, let_go = threading.Event(), threading.Event()

    def search(_connection: apsw.Connection) -> bool:
        started.set()
        return let_go.wait(10)

    searching = asyncio.create_task(inbox._reader.run(search))
    assert await asyncio.to_thread(started.wait, 10)
    [lease] = await inbox.lease(1, LEASE, NOW)
    assert lease.entry.delivery == delivery("a")
    assert not searching.done()
    let_go.set()
    assert await searching
