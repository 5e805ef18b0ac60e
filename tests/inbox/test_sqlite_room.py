"""Disks without room for a write, and limits on what may be written: nothing is half stored, and it passes."""

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from gateway.errors import InboxError, InboxUnavailable
from gateway.history import Query
from gateway.inbox import sqlite_wal
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import State
from gateway.torture.disk import remembered
from tests.inbox.samples import NOW, delivery, keep, settle_all

BIG = bytes(80_000)


def open_at(path: Path) -> SqliteInbox:
    """Open a SQLite inbox."""
    return SqliteInbox.open(path, dedupe_window_ms=1_000_000)


async def names(inbox: SqliteInbox) -> set[str]:
    """Return the delivery ids in the inbox."""
    return {history.entry.delivery.id for history in await inbox.search(Query(limit=999))}


async def acknowledged(inbox: SqliteInbox, *wanted: str) -> set[str]:
    """Put one large delivery per name at the same time and return those that were acknowledged."""
    puts = [inbox.put([delivery(name, body=BIG)], NOW) for name in wanted]
    answers = await asyncio.gather(*puts, return_exceptions=True)
    assert {type(answer) for answer in answers} <= {list, InboxUnavailable}
    return {name for name, answer in zip(wanted, answers, strict=True) if isinstance(answer, list)}


def check_integrity(connection: apsw.Connection) -> None:
    """Let SQLite check every page and index."""
    assert connection.pragma("integrity_check") == "ok"


@contextmanager
def file_size_limited_to(size: int) -> Iterator[None]:
    """Let this process write no file beyond `size` bytes, as `ulimit -f` does; Python ignores the signal."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 30, 4_096, 30_000, 60_000, 100_000, 200_000])
async def test_no_room_for_the_wal(tmp_path: Path, room: int) -> None:
    """However little room is left when a commit writes, what is acknowledged is whole and the rest is refused."""
    with remembered() as disk:
        inbox = open_at(tmp_path / "inbox.db")
        await keep(inbox, "before")
        disk.leave_room(room)
        kept = await acknowledged(inbox, "a", "b", "c")
        assert inbox.failure is None
        assert await names(inbox) == kept | {"before"}
        disk.leave_room(None)
        assert await acknowledged(inbox, "a", "b", "c") == {"a", "b", "c"}
        await inbox._write(check_integrity)
        await settle_all(inbox, State.FORWARDED)
        await inbox.close()


async def test_no_room_for_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint that finds no room leaves the WAL as it is, and a later one moves it."""
    monkeypatch.setattr(sqlite_wal, "CHECKPOINT_PAGES", 10)
    with remembered() as disk:
        inbox = open_at(tmp_path / "inbox.db")
        disk.leave_room(180_000)
        kept = await acknowledged(inbox, "a")
        kept |= await acknowledged(inbox, "b")
        assert kept == {"a"}
        assert inbox.failure is None
        disk.leave_room(None)
        await acknowledged(inbox, "b", "c")
        assert await names(inbox) == {"a", "b", "c"}
        await inbox.close()
        assert (tmp_path / "inbox.db").stat().st_size > 3 * len(BIG)


async def test_a_limit_of_file_size_refuses_and_passes(tmp_path: Path) -> None:
    """Under a limit of file size a put is refused in a sentence of its own; when it is raised the inbox goes on."""
    inbox = open_at(tmp_path / "inbox.db")
    await keep(inbox, "before")
    with file_size_limited_to((tmp_path / "inbox.db-wal").stat().st_size + 100_000):
        with pytest.raises(InboxUnavailable, match="limit of file size or a quota"):
            await inbox.put([delivery("big", body=BIG)], NOW)
        assert await acknowledged(inbox, "big_1", "big_2") == set()
        assert inbox.failure is None
        await keep(inbox, "small")
    assert await acknowledged(inbox, "big") == {"big"}
    assert await names(inbox) == {"before", "small", "big"}
    await inbox._write(check_integrity)
    await inbox.close()


async def test_a_write_that_fails_otherwise_ends_the_service(tmp_path: Path) -> None:
    """An I/O error while writing is not taken for a full disk."""
    with remembered() as disk:
        inbox = open_at(tmp_path / "inbox.db")
        disk.break_writes()
        with pytest.raises(InboxUnavailable):
            await keep(inbox, "a")
        assert isinstance(inbox.failure, InboxError)
        await inbox.close()
