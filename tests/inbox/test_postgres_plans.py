"""The statements of a PostgreSQL inbox stay cheap: none reads what is over, whatever the planner thinks of it."""

from dataclasses import replace

import asyncpg

from gateway.inbox import postgres_days
from gateway.inbox.postgres import _LEASE as _LEASE_TERMS
from gateway.inbox.postgres import _PUT
from gateway.inbox.postgres import _SETTLE as _SETTLE_TERMS
from gateway.inbox.postgres_leases import _ENTRIES
from gateway.inbox.postgres_put import _KNOWN
from gateway.inbox.postgres_settle import _SETTLE
from gateway.model import Lease
from tests.inbox.samples import LEASE, answered, delivery, keep
from tests.inbox.tables import Tables, look


async def test_a_lease_does_not_step_over_leases_that_are_settled(tables: Tables) -> None:
    """Likewise the leases that would have ended meanwhile, from one lease to the next."""
    inbox = await tables.open()
    await keep(inbox, "first")
    pin = await asyncpg.connect(tables.url, server_settings={"search_path": tables.schema})
    await pin.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM queue")
    now = inbox.time()
    for batch in range(6):
        now += 1_000
        await inbox.put([delivery(f"evt_{batch}_{n}") for n in range(500)], now)
        leases = await inbox.lease(1_000, 2_000, now)
        await inbox.settle([(lease, answered(lease)) for lease in leases], now)
    now += 3_000
    assert await inbox.lease(9, LEASE, now) == []
    floors = inbox._floors.floors
    assert await tables.cost(floors, now) * 2 < await tables.cost(replace(floors, leased=0), now)
    await keep(inbox, "lost_1", "lost_2", now=now)
    assert len(await inbox.lease(9, 2_000, now)) == 2
    for name in ("lost_1", "lost_2"):  # what a lease leaves of those that ended, the next one finds
        [lease] = await inbox.lease(1, LEASE, now + 60_000)
        assert lease.entry.delivery.id == name
    await pin.close()


async def test_a_queue_of_few_rows_on_many_pages(tables: Tables) -> None:
    """Statistics that tell of few rows do not make a lease or a settlement read what an open transaction keeps."""
    inbox = await tables.open()
    pin = await asyncpg.connect(tables.url, server_settings={"search_path": tables.schema})
    await pin.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM queue")
    now = inbox.time()
    for batch in range(12):
        await inbox.put([delivery(f"evt_{batch}_{n}") for n in range(500)], now - 60_000)
        leases = await inbox.lease(1_000, LEASE, now)
        await inbox.settle([(lease, answered(lease)) for lease in leases], now)
    await look(inbox, now)
    await keep(inbox, *(f"late_{n}" for n in range(20)), now=now)
    await tables.connection.execute("ANALYZE queue")
    assert await tables.cost(inbox._floors.floors, now, 1_000) < 500
    leases = await inbox.lease(20, LEASE, now)
    settled = [[*values] for values in zip(*(settle_row(n, lease, now) for n, lease in enumerate(leases)), strict=True)]
    assert await tables.pages(_SETTLE, *settled, now, terms=_SETTLE_TERMS) < 500
    await pin.close()


def settle_row(n: int, lease: Lease, now: int) -> tuple[object, ...]:
    """Return a forwarded entry as the settlement takes it."""
    return (n, lease.entry.key, lease.token, "forwarded", now, 1, "", 0, None, None, None, None, None)


# As many rows as a minute leaves, and tables that nobody has analyzed yet.
FILL = """
INSERT INTO dedupe SELECT 'acme', 'evt_' || n, NULL, $1 + n, 0, 9 FROM generate_series(1, 5000) n;
INSERT INTO entries SELECT $1 + n, 'acme', 'hmac', 'evt_' || n, '', '', 0, NULL, 9 FROM generate_series(1, 5000) n;
INSERT INTO bodies SELECT $1 + n, '', '', NULL FROM generate_series(1, 5000) n;
INSERT INTO queue SELECT $1 + n, 'acme', 0, 0, 9 FROM generate_series(1, 5000) n;
"""


async def test_rows_are_looked_up_by_key(tables: Tables) -> None:
    """No table is read as a whole for a batch, although the planner thinks that cheaper for a small one."""
    inbox = await tables.open()
    first = postgres_days.first_key(postgres_days.day_of(inbox.time()))
    await tables.connection.execute(FILL.replace("$1", str(first)))
    keys = [first + n for n in range(1, 1_001)]
    names = [f"evt_{n}" for n in range(1, 1_001)]
    known = await tables.plan(_KNOWN, ["acme"] * 1_000, names, [], [], terms=_PUT)
    entries = await tables.plan(_ENTRIES, keys, keys[0], keys[-1], terms=_LEASE_TERMS)
    none: list[list[object]] = [[None] * 1_000 for _ in range(8)]
    settled = (list(range(1_000)), keys, ["token"] * 1_000, ["forwarded"] * 1_000, [0] * 1_000, *none)
    settle = await tables.plan(_SETTLE, *settled, 0, terms=_SETTLE_TERMS)
    for plan in (known, entries, settle):
        assert "Index Scan" in plan
        assert "Seq Scan" not in plan
