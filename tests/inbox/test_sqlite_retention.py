"""Retention in small steps: intake goes on beside it, and no step is large."""

import asyncio
from pathlib import Path

import apsw
import pytest

from gateway.history import Query
from gateway.inbox import sqlite_writes
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import State
from tests.inbox.samples import NOW, delivery, keep, settle_all

ENTRIES = 3_000


class Groups:
    """Counts the transactions of a writer."""

    def __init__(self) -> None:
        self.committed = 0

    def note(self, _cursor: apsw.Cursor, statement: str, _values: object) -> bool:
        """Note a statement that runs."""
        self.committed += statement == "COMMIT"
        return True


async def settled(path: Path, number: int, size: int) -> SqliteInbox:
    """Open an inbox with so many settled entries with bodies of so many bytes."""
    inbox = SqliteInbox.open(path / "inbox.db", dedupe_window_ms=1_000_000)
    await inbox.put([delivery(f"evt_{n}", body=bytes(size)) for n in range(number)], NOW)
    await settle_all(inbox, State.FORWARDED)
    return inbox


async def test_intake_goes_on_beside_retention(tmp_path: Path) -> None:
    """While many steps of retention run, every put is committed with the next group or the one after it."""
    inbox = await settled(tmp_path, ENTRIES, 1_000)
    groups = Groups()
    await inbox._write(lambda db: db.set_exec_trace(groups.note))
    waits: list[int] = []
    pruning = asyncio.create_task(prune(inbox))
    while not pruning.done():
        before = groups.committed
        await keep(inbox, f"new_{len(waits)}", now=NOW + 10)
        waits.append(groups.committed - before)
    steps = await pruning
    assert steps > ENTRIES / 100
    assert len(waits) > 5
    assert max(waits) <= 2
    assert (await inbox.counts()).by_source == {"acme": {State.PENDING: len(waits)}}
    await inbox.close()


async def prune(inbox: SqliteInbox) -> int:
    """Take retention to its end in steps of a hundred rows, and return how many there were."""
    steps = 1
    while await inbox.prune(NOW + 1, NOW + 1_000_001, limit=100):
        steps += 1
    return steps


async def test_a_step_is_bounded_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows it may take, a step frees no more than its bytes, and at least one body."""
    monkeypatch.setattr(sqlite_writes, "PRUNE_BYTES", 250_000)
    inbox = await settled(tmp_path, 10, 100_000)
    await inbox.put([delivery("huge", body=bytes(900_000))], NOW - 1)
    await settle_all(inbox, State.FORWARDED, now=NOW - 1)
    taken = []
    while gone := await inbox.prune(NOW + 1, 0):
        taken.append(gone)
    assert taken == [1, 2, 2, 2, 2, 2]
    assert not any(history.body_kept for history in await inbox.search(Query()))
    await inbox.close()
