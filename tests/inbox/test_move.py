"""A SQLite inbox moved into PostgreSQL: all of it is there, once, and nothing is forwarded before it was compared."""

from pathlib import Path

from gateway.history import Query
from gateway.inbox.moving.source import Source
from gateway.inbox.postgres_connections import Terms
from gateway.inbox.postgres_floors import LOOKS_BETWEEN
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import State
from tests.inbox.engines import DAY
from tests.inbox.lives import WINDOW, everything, fill, stored, today, told
from tests.inbox.mover import Mover, copied
from tests.inbox.samples import LEASE, delivery, keep, settle_all


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
