"""The tables of a PostgreSQL inbox: made once, upgraded forward, parted by days, quick to lease from."""

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace

import asyncpg
import pytest

from gateway.errors import InboxOutdated, InboxUnsupported
from gateway.history import Query
from gateway.inbox import postgres_days, postgres_put, postgres_schema
from gateway.inbox.postgres import PostgresInbox
from gateway.inbox.postgres_connections import Connections, Terms
from gateway.inbox.postgres_days import BODY_TABLES, ENTRY_TABLES
from gateway.inbox.postgres_leases import Floors
from gateway.inbox.postgres_schema import SCHEMA
from gateway.model import ReplayMode, State, TransformRun
from tests.inbox.engines import DAY
from tests.inbox.samples import LEASE, NOW, answered, delivery, keep, settle_all
from tests.inbox.tables import Tables, look


async def test_gateways_that_start_at_once_make_the_tables_once(tables: Tables) -> None:
    """However many start on an empty database, one makes the tables and the others wait for it."""
    inboxes = await asyncio.gather(*(tables.open() for _ in range(4)))
    await keep(inboxes[0], "evt_1")
    assert all([len(await inbox.search(Query())) == 1 for inbox in inboxes])


async def test_migrations_may_be_left_to_a_command(tables: Tables) -> None:
    """Where a gateway may not make tables it says which command does, and starts when that was run."""
    with pytest.raises(InboxOutdated, match="run `gateway migrate`"):
        await tables.open(migrate=False)
    assert await PostgresInbox.migrate(tables.url, tables.schema) == SCHEMA
    assert await PostgresInbox.migrate(tables.url, tables.schema) == 0
    await tables.open(migrate=False)


async def test_a_migration_that_was_killed_leaves_nothing(tables: Tables) -> None:
    """Killed in a step, the old schema stands as it was, and the next start takes the step."""
    program = (
        "import asyncio\nfrom gateway.inbox.postgres import PostgresInbox\n"
        f"asyncio.run(PostgresInbox.migrate({tables.url!r}, {tables.schema!r}))"
    )
    environ = {**os.environ, "GATEWAY_FAILPOINTS": "in_migration_1=kill"}
    done = await asyncio.to_thread(subprocess.run, [sys.executable, "-c", program], env=environ, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not await tables.connection.fetch("SELECT 1 FROM pg_namespace WHERE nspname = $1", tables.schema)
    await keep(await tables.open(), "evt_1")


async def test_a_newer_schema_serves_as_long_as_it_says(tables: Tables) -> None:
    """While gateways are upgraded one by one, those of the version before serve on, and older ones are refused."""
    inbox = await tables.open()
    step = replace(postgres_schema.STEPS[0], statements="ALTER TABLE queue ADD COLUMN extra int")
    connections = Connections(tables.url, tables.schema, size=1, patience=1)
    await connections.open()
    assert await postgres_schema.migrate(connections, (*postgres_schema.STEPS, step)) == 1
    await keep(inbox, "evt_1")
    before = await tables.open()
    await settle_all(before, State.FORWARDED)
    assert (
        await postgres_schema.migrate(
            connections, (*postgres_schema.STEPS, step, replace(step, statements="SELECT 1", readable_from=SCHEMA + 1))
        )
        == 1
    )
    await connections.close()
    with pytest.raises(InboxUnsupported, match="made by a newer gateway"):
        await tables.open()


async def settle_as_before(tables: Tables, key: int) -> None:
    """Settle an entry with the statements of a gateway that knows the first schema."""
    await tables.connection.execute("DELETE FROM queue WHERE key = $1", key)
    await tables.connection.execute(
        "INSERT INTO outcomes (key, source, state, due_at, attempts, generation, reason, rejections, rejected_at, "
        "settled_at) VALUES ($1, 'acme', 'dead', $2, 0, 0, 'KeyError', 0, NULL, $2)",
        key,
        NOW,
    )


async def test_tables_are_upgraded_under_a_gateway(tables: Tables) -> None:
    """What a gateway of the version before has kept and settles, before and after, is found and runs again."""
    connections = Connections(tables.url, tables.schema, size=1, patience=1)
    await connections.open()
    assert await postgres_schema.migrate(connections, postgres_schema.STEPS[:1]) == 1
    await connections.run(lambda db: postgres_days.make(db, [postgres_days.day_of(NOW)]), Terms())
    sent = [postgres_put.Sent(delivery(name), NOW, NOW + DAY) for name in ("evt_1", "evt_2")]
    receipts = await connections.run(lambda db: postgres_put.put(db, sent), Terms())
    await connections.run(lambda db: postgres_put.name_sources(db, ["acme"]), Terms())
    await connections.close()
    await settle_as_before(tables, receipts[0].key)
    inbox = await tables.open()
    await settle_as_before(tables, receipts[1].key)
    found = await inbox.search(Query())
    assert [(match.entry.reason, match.transform) for match in found] == [("KeyError", None)] * 2
    assert (await inbox.replay(Query(), ReplayMode.RERUN, NOW)).count == 2
    run = TransformRun("shop:transform", 1.5)
    leases = await inbox.lease(9, LEASE, NOW)
    await inbox.settle([(lease, answered(lease, transform=run)) for lease in leases], NOW)
    assert [match.transform for match in await inbox.search(Query())] == [run, run]


async def test_days_are_made_ahead(tables: Tables) -> None:
    """The days to come have their tables before anything is received in them."""
    await tables.open()
    for table in (*ENTRY_TABLES, *BODY_TABLES):
        assert len(await tables.days(table)) == 4


async def test_a_day_goes_as_a_whole(tables: Tables) -> None:
    """Bodies of a day go when none is needed any more, its entries when its ids are forgotten, and others stay."""
    inbox = await tables.open()
    day, later = NOW // DAY * DAY, NOW // DAY * DAY + DAY
    await keep(inbox, "evt_1", "evt_2", now=day)
    await settle_all(inbox, State.FORWARDED, day + 5)
    await keep(inbox, "evt_3", now=day + 6)
    await keep(inbox, "evt_4", now=later)
    made = await tables.days("bodies")
    assert await inbox.prune(later + 1, later) == 0
    assert await tables.days("bodies") == [name for name in made if name >= "2027"]
    await settle_all(inbox, State.DEAD, later)
    assert await inbox.prune(later, later) == 0
    assert await inbox.prune(later + 1, later + 2) == 3
    assert (await tables.days("bodies"), await tables.days("entries")) == (["20270116"], ["20270115", "20270116"])
    assert [history.body_kept for history in await inbox.search(Query())] == [True, False, False, False]
    assert await inbox.count(Query()) == 1
    [again] = await inbox.put([delivery("evt_1")], later + 3)
    assert again.duplicate
    assert await inbox.prune(later + 1, day + 7 * DAY + 7) == 3  # the ids of three entries, and then the entries
    assert await inbox.prune(later + 1, day + 7 * DAY + 7) == 3
    assert await tables.days("entries") == ["20270116"]
    assert [history.entry.delivery.id for history in await inbox.search(Query())] == ["evt_4"]


async def test_what_is_left_of_a_day_goes_row_by_row(tables: Tables) -> None:
    """An entry that is not finished holds up its day, and the others of it go a day later all the same."""
    inbox = await tables.open()
    await keep(inbox, "evt_1")
    await settle_all(inbox, State.FORWARDED)
    await keep(inbox, "evt_2")
    assert await inbox.prune(NOW + DAY, NOW + DAY) == 0
    assert await inbox.prune(NOW + 2 * DAY, NOW + 2 * DAY) == 1
    assert [history.body_kept for history in await inbox.search(Query())] == [True, False]
    [lease] = await inbox.lease(9, LEASE, NOW + 2 * DAY)
    assert lease.entry.delivery == delivery("evt_2")


async def test_a_replay_and_a_prune_at_once(tables: Tables) -> None:
    """Whoever comes first: what is replayed keeps its body."""
    inbox, other = await tables.open(), await tables.open()
    for round_ in range(5):
        now = NOW + round_ * 3 * DAY
        await keep(inbox, *(f"evt_{round_}_{n}" for n in range(20)), now=now)
        await settle_all(inbox, State.DEAD, now)
        late = now + 2 * DAY
        replayed, _ = await asyncio.gather(
            inbox.replay(Query(limit=100), ReplayMode.RESEND, late), other.prune(late, late)
        )
        leases = await other.lease(100, LEASE, late)
        assert len(leases) == replayed.count
        assert all(lease.entry.delivery.body for lease in leases)
        await inbox.settle([(lease, answered(lease)) for lease in leases], late)


async def test_a_lease_does_not_step_over_what_is_gone(tables: Tables) -> None:
    """While a transaction keeps every row that was, a lease reads few of them, and passes over none that is due."""
    inbox, other = await tables.open(), await tables.open()
    await keep(inbox, "first")
    pin = await asyncpg.connect(tables.url, server_settings={"search_path": tables.schema})
    await pin.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM queue")
    now = inbox.time()
    for batch in range(6):
        await inbox.put([delivery(f"evt_{batch}_{n}") for n in range(500)], now - 60_000)
        await settle_all(inbox, State.FORWARDED, now + LEASE)
    await look(inbox, now)
    await look(other, now)
    assert await tables.cost(inbox._floors.floors, now) * 3 < await tables.cost(Floors(), now)
    await keep(inbox, "evt", now=now)
    assert [lease.entry.delivery.id for lease in await inbox.lease(9, LEASE, now)] == ["evt"]
    await keep(inbox, "late", now=now - 20_000)
    await look(other, now)
    assert [lease.entry.delivery.id for lease in await other.lease(9, LEASE, now)] == ["late"]
    await pin.close()


async def test_clocks_that_differ_are_told(tables: Tables) -> None:
    """A database whose clock went back is told at the start, and time goes on from where it was."""
    inbox = await tables.open()
    assert inbox.alarms == ()
    ahead = inbox.time() + DAY
    await keep(inbox, "evt_1", now=ahead)
    later = await tables.open()
    [alarm] = later.alarms
    assert "24.0 hours behind" in alarm
    assert later.time() >= ahead
    assert len([*later._time.differences(ahead)]) == 2
