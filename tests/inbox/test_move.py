"""A SQLite inbox moved into PostgreSQL: all of it is there, once, and nothing is forwarded before it was compared."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from gateway.errors import InboxLocked, InboxMoved, InboxUnavailable, InboxUnsupported, MoveFailed
from gateway.history import Query
from gateway.inbox.contract import Inbox
from gateway.inbox.moving.move import Moved, Plan, move, undo
from gateway.inbox.moving.source import Source
from gateway.inbox.moving.target import Target
from gateway.inbox.postgres import PostgresInbox
from gateway.inbox.postgres_connections import Terms
from gateway.inbox.postgres_floors import LOOKS_BETWEEN
from gateway.inbox.sqlite import SqliteInbox
from gateway.inbox.sqlite_moved import VERIFIED
from gateway.model import State
from tests import postgres_schemas
from tests.inbox.engines import DAY
from tests.inbox.lives import WINDOW, everything, fill, stored, today, told
from tests.inbox.samples import LEASE, answered, delivery, keep, settle_all
from tests.postgres_proxy import CommitCutter

TABLES = ("queue", "frozen", "outcomes", "entries", "bodies", "attempts", "events", "dedupe")


class Mover:
    """A file, the schema it is moved into, and a look at both."""

    def __init__(self, place: Path) -> None:
        self.file = place / "inbox.db"
        self.url, self.schema = postgres_schemas.of(place)
        self.connection: asyncpg.Connection
        self._opened: list[Inbox] = []

    def source(self) -> SqliteInbox:
        """Open the file to read it."""
        self._opened.append(opened := SqliteInbox.open(self.file, dedupe_window_ms=WINDOW, read_only=True))
        return opened

    def serve(self) -> SqliteInbox:
        """Open the file to serve it."""
        self._opened.append(opened := SqliteInbox.open(self.file, dedupe_window_ms=WINDOW))
        return opened

    async def target(self) -> PostgresInbox:
        """Open the tables as a gateway does, but with a retention that is exact."""
        opened = await PostgresInbox.open(self.url, schema=self.schema, dedupe_window_ms=WINDOW, slack_ms=0)
        self._opened.append(opened)
        return opened

    async def move(self, *, until: str = "", file: Path | None = None, name: str = "there") -> Moved | None:
        """Move the file, and stop as Ctrl-C does when something of this description begins."""
        source, stop = Source.open(file or self.file, WINDOW), asyncio.Event()
        try:
            target = await self.open()
            try:
                told = lambda what, _: stop.set() if what == until else None  # noqa: E731
                return await move(source, target, Plan(name, 7 * DAY, today()), progress=told, stop=stop)
            finally:
                await target.close()
        finally:
            source.close()

    async def undo(self, name: str = "there") -> int:
        """Give the move up; return how many deliveries went."""

        async def named() -> tuple[Target, str]:
            return await self.open(), name

        source = Source.open(self.file, WINDOW)
        try:
            return (await undo(source, named))[1]
        finally:
            source.close()

    async def open(self) -> Target:
        """Open the tables as a move does."""
        return await Target.open(self.url, self.schema, migrate=True)

    async def execute(self, statement: str) -> str:
        """Change tables past everybody."""
        return str(await self.connection.execute(f"SET search_path TO {self.schema}; {statement}"))

    async def sizes(self) -> dict[str, int]:
        """Return how many rows the tables have."""
        counted = "SELECT count(*) FROM {}.{}"
        return {table: await self.connection.fetchval(counted.format(self.schema, table)) for table in TABLES}

    async def leftovers(self) -> list[str]:
        """Return the tables of moves."""
        found = await self.connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r' "
            "AND relname LIKE 'move%'",
            self.schema,
        )
        return [name for (name,) in found]

    async def close(self) -> None:
        """Close everything."""
        for inbox in self._opened:
            await inbox.close()
        await self.connection.close()


@pytest.fixture
async def mover(tmp_path: Path) -> AsyncIterator[Mover]:
    """Give a file that is not there yet, and an empty schema."""
    made = Mover(tmp_path)
    made.connection = await asyncpg.connect(made.url)
    yield made
    await made.close()


async def copied(mover: Mover, now: int | None = None) -> None:
    """Fill the file with lives before `now` and copy it, and stop before anything is compared."""
    await fill(mover.file, now or today())
    await copy(mover)


async def copy(mover: Mover) -> None:
    """Copy the file, and stop before anything is compared."""
    assert await mover.move(until="copying") is None  # makes the tables
    source, target = Source.open(mover.file, WINDOW), await mover.open()
    mark = source.mark
    assert mark
    await target.copy(mark.move, source.batch(0))
    await target.close()
    source.close()


async def test_everything_is_there(mover: Mover) -> None:
    """Histories, stored deliveries, counts, names of events and the time are told as the file tells them."""
    await fill(mover.file, today())
    moved = await mover.move()
    before, after = mover.source(), await mover.target()
    histories = await everything(before)
    assert {history.entry.state for history in histories} == set(State) - {State.LEASED}
    assert any(history.entry.frozen for history in histories)
    assert not all(history.body_kept for history in histories)
    assert max(len(history.entry.delivery.body) for history in histories) == 1 << 20
    assert await everything(after) == histories
    assert await stored(after) == await stored(before)
    assert await told(after) == await told(before)
    source = Source.open(mover.file, WINDOW)
    assert after.reached >= source.reached > 0
    source.close()
    assert moved
    assert moved.comparison
    assert moved.comparison.sent.hex() == moved.comparison.arrived.hex()
    assert (moved.comparison.absorbed, moved.comparison.forgotten, moved.comparison.narrowed) == ({}, {}, 0)
    assert await mover.leftovers() == []


async def test_days_are_those_of_receipt(mover: Mover) -> None:
    """What was received on a day lies in the partitions of that day, so that retention takes it with the day."""
    await fill(mover.file, today())
    await mover.move()
    after = await mover.target()
    assert await after.prune(today() - 10 * DAY, today())
    kept = [history.entry.delivery.id for history in await everything(after) if history.body_kept]
    assert "old_forgotten" not in kept
    assert {"forwarded", "empty", "new"} <= set(kept)


async def test_a_resend_after_the_move_is_absorbed(mover: Mover) -> None:
    """Ids, digests and their windows are known as they were."""
    await fill(mover.file, today())
    await mover.move()
    after = await mover.target()
    now = today()
    names = ["forwarded", "new", "l" * 3_000, "old_narrow", "leased_1"]
    receipts = await after.put([delivery(name) for name in names], now)
    receipts += await after.put([delivery("another", digest="ab" * 32)], now)
    assert [receipt.duplicate for receipt in receipts] == [True] * 6
    assert receipts[-1].known_as == "digest"
    assert now - 4 * DAY < receipts[0].first_seen_at < now - 2 * DAY
    [again] = await after.put([delivery("old_forgotten")], now)
    assert not again.duplicate
    [history] = await after.search(Query(id="forwarded"))
    assert history.duplicates == 2


async def test_nothing_is_leased_before_it_was_compared(mover: Mover) -> None:
    """A gateway that serves the target takes webhooks meanwhile, and has what was moved once all of it is sure."""
    serving = await mover.target()
    await copied(mover)
    await keep(serving, "meanwhile", now=today())
    assert [lease.entry.delivery.id for lease in await serving.lease(100, LEASE, today() + 9 * DAY)] == ["meanwhile"]
    assert await mover.move()
    fresh = await mover.target()
    later = today() + 3 * DAY
    first = await fresh.lease(100, LEASE, later)
    assert [lease.entry.frozen.position for lease in first if lease.entry.frozen] in ([], [0, 1])
    leases = [*first, *await fresh.lease(100, LEASE, later)]
    found = {lease.entry.delivery.id: lease.entry for lease in leases}
    assert set(found) - {"meanwhile"} == {"batch_1", "batch_2", "retry", "new", "rerun", "leased_1", "leased_2"}
    assert (found["rerun"].generation, found["retry"].attempts) == (1, 1)


async def test_a_gateway_that_serves_the_target_finds_what_was_moved(mover: Mover) -> None:
    """Although all of it was due before what that gateway last leased, it is found with one of the next looks."""
    serving = await mover.target()
    await keep(serving, "meanwhile", now=today())
    assert await serving.lease(100, LEASE, today())
    await serving._others.run(lambda db: serving._floors.raise_(db, today()), Terms())
    await fill(mover.file, today() - DAY)
    assert await mover.move()
    assert [len(await serving.lease(100, LEASE, today())) for _ in range(2)] == [2, 0]  # a frozen batch at once
    for _ in range(LOOKS_BETWEEN):
        await serving._others.run(lambda db: serving._floors.raise_(db, today()), Terms())
    assert len(await serving.lease(100, LEASE, today())) == 5


async def test_a_delivery_that_the_target_has(mover: Mover) -> None:
    """One that was sent again to the target is absorbed and counted there; a batch of unknown fate stays whole."""
    await fill(mover.file, today())
    serving = await mover.target()
    await keep(serving, "new", "dead", "forwarded", "batch_2", now=today())
    await serving.put([delivery("by_digest", digest="ab" * 32)], today())
    moved = await mover.move()
    assert moved
    assert moved.comparison
    assert moved.comparison.absorbed == {"acme": {"pending": 1, "dead": 1, "forwarded": 2}}
    names = ("new", "dead", "forwarded", "by_digest", "digest", "batch_2")
    found = {name: await serving.search(Query(id=name)) for name in names}
    assert [len(found[name]) for name in names] == [1, 1, 1, 1, 0, 2]
    assert [found[name][0].duplicates for name in names[:4]] == [1, 1, 2, 1]


async def test_an_id_whose_window_is_over_there(mover: Mover) -> None:
    """An id that the target remembers no longer, although it has not been forgotten yet, is the moved delivery's."""
    serving = await mover.target()
    await serving.put([delivery("new", digest="cd" * 32)], today() - 2 * DAY, DAY)
    await fill(mover.file, today())
    assert await mover.move()
    assert len(await serving.search(Query(id="new"))) == 2
    [receipt] = await serving.put([delivery("new")], today())
    assert (receipt.duplicate, receipt.first_seen_at > today() - DAY) == (True, True)


async def test_several_files_into_one(mover: Mover, tmp_path: Path) -> None:
    """The inboxes of two gateways become one."""
    for name in ("one", "two"):
        inbox = SqliteInbox.open(tmp_path / name, dedupe_window_ms=WINDOW)
        await keep(inbox, "both", name, now=today())
        await settle_all(inbox, State.FORWARDED, today())
        await inbox.close()
        assert await mover.move(file=tmp_path / name)
    counts = await (await mover.target()).counts()
    assert counts.by_source == {"acme": {State.FORWARDED: 3}}
    assert counts.duplicates == {"acme": 1}


DAMAGE = [
    ("bodies", "UPDATE bodies SET body = body || 'x' WHERE octet_length(body) = 1024"),
    ("bodies", "UPDATE bodies SET content = 'x' WHERE content IS NOT NULL"),
    ("events", "UPDATE events SET id = id || 'x' WHERE n = 2"),
    ("attempts", "DELETE FROM attempts WHERE number = 2"),
    ("queue", "UPDATE queue SET due_at = due_at + 1"),
    ("queue", "UPDATE queue SET lease = NULL, leased_until = NULL"),
    ("outcomes", "UPDATE outcomes SET state = 'skipped' WHERE state = 'dead'"),
    ("entries", "DELETE FROM entries WHERE delivery_id = 'empty'"),
    ("frozen", "UPDATE frozen SET seed = 'another'"),
    ("dedupe", "DELETE FROM dedupe WHERE delivery_id = 'bytes'"),
    ("dedupe", "UPDATE dedupe SET expires_at = expires_at + 1 WHERE delivery_id = 'bytes'"),
    ("dedupe", "UPDATE dedupe SET hits = 0 WHERE hits > 0"),
]


@pytest.mark.parametrize(("table", "damage"), DAMAGE)
async def test_damage_in_the_target_is_found(mover: Mover, table: str, damage: str) -> None:
    """What is not as it was is named, nothing is forwarded, and the file stays what it was."""
    await copied(mover)
    assert await mover.execute(damage) not in {"UPDATE 0", "DELETE 0"}
    with pytest.raises(MoveFailed, match=f"first in the table {table}, at the delivery .* of (acme|other)"):
        await mover.move()
    await mover.undo()
    assert await mover.move()
    assert await everything(await mover.target()) == await everything(mover.source())


async def test_bodies_that_retention_took(mover: Mover) -> None:
    """A body that the target's retention took since it was copied is no fault; one that is gone without it is one."""
    await copied(mover)
    after = await mover.target()
    while await after.prune(today() - 5 * DAY // 2, today()):
        pass
    moved = await mover.move()
    assert moved
    assert moved.comparison
    assert moved.comparison.narrowed == 5
    assert (await after.search(Query(id="forwarded")))[0].body_kept is False


async def test_a_body_that_nobody_took(mover: Mover) -> None:
    """A body that is gone without any retention is a fault."""
    await copied(mover)
    await mover.execute("DELETE FROM bodies WHERE body = ''")
    with pytest.raises(MoveFailed, match="first in the table bodies, at the delivery empty of acme"):
        await mover.move()


async def test_a_day_of_which_the_bodies_are_gone(mover: Mover) -> None:
    """Bodies find a place also in a day of which the target remembers ids alone, where no other day is missing."""
    serving = await mover.target()
    for days in range(20, -1, -1):
        await serving.put([delivery(f"there_{days}")], today() - days * DAY, 30 * DAY)
        await settle_all(serving, State.FORWARDED, today() - days * DAY)
    while await serving.prune(today() - 10 * DAY, today()):
        pass
    await fill(mover.file, today())
    assert await mover.move()
    found = {history.entry.delivery.id: history.body_kept for history in await everything(serving)}
    assert (found["there_19"], found["old_forgotten"]) == (False, True)


async def test_days_that_retention_dropped(mover: Mover) -> None:
    """What retention took as a whole is no fault, and what comes to its days later finds a place there."""
    await copied(mover, today() - 60 * DAY)
    after = await mover.target()
    while await after.prune(today() - 7 * DAY, today()):
        pass
    moved = await mover.move()
    assert moved
    assert moved.comparison
    finished = [history for history in await everything(mover.source()) if history.settled_at]
    assert sum(number for states in moved.comparison.forgotten.values() for number in states.values()) == len(finished)
    await mover.undo()
    await mover.execute("DELETE FROM queue; DELETE FROM frozen; DELETE FROM entries; DELETE FROM bodies")
    await mover.execute("DELETE FROM attempts; DELETE FROM events; DELETE FROM dedupe")
    assert await mover.move()
    assert await everything(after) == await everything(mover.source())


async def test_stopped_between_the_last_steps(mover: Mover) -> None:
    """Where a run ended after the comparison, or before the file was told of the end, the next one finishes."""
    await copied(mover)
    source = Source.open(mover.file, WINDOW)
    mark = source.mark
    assert mark
    source.set_mark(replace(mark, stage=VERIFIED))
    source.close()
    first = await mover.move()
    assert first
    assert first.comparison
    with pytest.raises(InboxMoved, match="was moved to there on "):
        await mover.move()
    source = Source.open(mover.file, WINDOW)
    source.set_mark(replace(mark, stage=VERIFIED))
    source.close()
    again = await mover.move()
    assert again
    assert (again.comparison, again.counts) == (None, first.counts)
    assert await everything(await mover.target()) == await everything(mover.source())


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("step", ["copy", "finish"])
async def test_a_connection_that_is_cut_at_its_commit(mover: Mover, step: str, *, answered: bool) -> None:
    """Whether a batch, or the end, is committed although nobody was told, everything is there and nothing twice."""
    await fill(mover.file, today())
    direct, port = mover.url, urlsplit(mover.url).port or 5432
    cutter = CommitCutter(port, seed=0)
    await cutter.start()
    mover.url = direct.replace(str(port), str(cutter.port))
    if step == "finish":
        await copy(mover)
    else:
        assert await mover.move(until="copying") is None
    source, target = Source.open(mover.file, WINDOW), await mover.open()
    mark = source.mark
    assert mark
    cutter.cut_next(answered=answered)
    if step == "finish":
        source.set_mark(replace(mark, stage=VERIFIED))
        act = target.finish(mark.move, source.reached, source.secret_uses())
    else:
        act = target.copy(mark.move, source.batch(0))
    with pytest.raises(InboxUnavailable):
        await act
    await target.close()
    source.close()
    moved = await mover.move()
    assert moved
    assert (moved.comparison is None) == (step == "finish" and answered)
    mover.url = direct
    await cutter.stop()
    after, before = await mover.target(), mover.source()
    assert await everything(after) == await everything(before)
    assert await told(after) == await told(before)
    assert sorted([len(await after.lease(100, LEASE, today() + 9 * DAY)) for _ in range(2)]) == [2, 5]
    assert await mover.leftovers() == []


async def test_undone_before_the_end(mover: Mover) -> None:
    """A move that is given up leaves nothing in the target, and the file serves as it did."""
    await copied(mover)
    with pytest.raises(InboxMoved, match="is being moved to there and not all of it is there"):
        mover.serve()
    assert await mover.undo() == len(await everything(mover.source()))
    assert set((await mover.sizes()).values()) == {0}
    assert await mover.leftovers() == []
    inbox = mover.serve()
    later = today() + 9 * DAY
    assert sorted([len(await inbox.lease(100, LEASE, later)) for _ in range(2)]) == [2, 5]  # the batch, and others


async def test_undone_after_the_end(mover: Mover) -> None:
    """A move that is done leaves everything in the target, and the file serves as it was; a second one absorbs it."""
    await fill(mover.file, today())
    await mover.move()
    with pytest.raises(InboxMoved, match=r"was moved to there on .* gateway move --undo --from sqlite:"):
        mover.serve()
    before = await mover.sizes()
    assert await mover.undo("somewhere else") == 0
    assert await mover.sizes() == before
    inbox = mover.serve()
    assert await inbox.lease(100, LEASE, today())
    await inbox.close()
    moved = await mover.move()
    assert moved
    assert moved.comparison
    assert moved.comparison.absorbed["od\x00d"] == {"forwarded": 1}
    with pytest.raises(InboxUnsupported, match=r"no move of .* was begun"):
        await Mover.undo(await _of_nothing(mover))


async def _of_nothing(mover: Mover) -> Mover:
    other = Mover(mover.file.parent / "other")
    other.file.parent.mkdir()
    await SqliteInbox.open(other.file, dedupe_window_ms=WINDOW).close()
    return other


async def test_what_is_refused(mover: Mover) -> None:
    """A file that is served, or is not there, and a move that goes to another place than it began to."""
    with pytest.raises(InboxUnsupported, match="there is no inbox at"):
        await mover.move()
    inbox = mover.serve()
    await keep(inbox, "one", now=today())
    with pytest.raises(InboxLocked, match="already served by process"):
        await mover.move()
    await inbox.close()
    assert await mover.move(until="copying") is None
    other = Mover(mover.file.parent / "other")
    other.file = mover.file
    for act in (other.move(name="elsewhere"), other.undo("elsewhere")):
        with pytest.raises(InboxMoved, match="is being moved to there, and elsewhere knows nothing of that"):
            await act
    assert await mover.move(name="there, by another name")


async def test_a_new_move_of_a_file_that_went_on(mover: Mover) -> None:
    """After it was served again a file is moved as it then is."""
    await copied(mover)
    await mover.undo()
    inbox = mover.serve()
    leases = await inbox.lease(100, LEASE, today() + 9 * DAY)
    await inbox.settle([(lease, answered(lease)) for lease in leases], today())
    await inbox.close()
    assert await mover.move()
    assert await everything(await mover.target()) == await everything(mover.source())
