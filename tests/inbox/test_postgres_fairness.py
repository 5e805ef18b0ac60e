"""Whose turn it is where much waits: every source and every gateway has its share."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.inbox import postgres_leases
from gateway.inbox.postgres import PostgresInbox
from tests import postgres_schemas
from tests.inbox.engines import DAY
from tests.inbox.samples import LEASE, NOW, delivery


@pytest.fixture
async def gateways(tmp_path: Path) -> AsyncIterator[list[PostgresInbox]]:
    """Give the inboxes of three gateways that share one."""
    url, schema = postgres_schemas.of(tmp_path)
    opened = [await PostgresInbox.open(url, schema=schema, dedupe_window_ms=7 * DAY) for _ in range(3)]
    yield opened
    for inbox in opened:
        await inbox.close()


async def test_a_backlog_of_one_source_holds_up_no_other(gateways: list[PostgresInbox]) -> None:
    """Beside a source that is far behind, what others received since goes out with the very next lease."""
    await gateways[0].put([delivery(f"old_{n}", source="busy") for n in range(1_000)], NOW)
    await gateways[1].put([delivery(f"new_{n}", source="quiet") for n in range(5)], NOW + 60_000)
    leases = await gateways[2].lease(200, LEASE, NOW + 60_000)
    assert Counter(lease.entry.delivery.source for lease in leases) == {"busy": 100, "quiet": 5}
    assert [lease.entry.delivery.id for lease in leases] == [f"old_{n}" for n in range(100)] + [
        f"new_{n}" for n in range(5)
    ]


async def test_gateways_that_lease_at_once_share(gateways: list[PostgresInbox]) -> None:
    """Each gateway gets entries of its own, as many as it asked for, while there are any."""
    await gateways[0].put([delivery(f"evt_{n}", source=f"source_{n % 3}") for n in range(600)], NOW)
    answers = await asyncio.gather(*(inbox.lease(150, LEASE, NOW) for inbox in gateways for _ in range(2)))
    keys = [lease.entry.key for leases in answers for lease in leases]
    assert len(keys) == len(set(keys))
    assert len(keys) + len(await gateways[0].lease(1_000, LEASE, NOW)) == 600
    assert len(keys) >= 450


async def test_a_lease_holds_no_more_than_memory_does(
    gateways: list[PostgresInbox], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Large bodies make a lease short, though never empty."""
    monkeypatch.setattr(postgres_leases, "LEASED_BYTES", 2_500)
    await gateways[0].put([delivery(f"evt_{n}", body=b"x" * 1_000, content=b"x" * 1_000) for n in range(5)], NOW)
    await gateways[0].put([delivery("large", body=b"x" * 9_000, content=b"x" * 9_000)], NOW + 1)
    sizes = [len(await gateways[0].lease(10, LEASE, NOW + 1)) for _ in range(4)]
    assert sizes == [3, 3, 0, 0]


async def test_what_a_dead_gateway_had_is_taken_over_within_its_lease(gateways: list[PostgresInbox]) -> None:
    """Another gateway has the entries of one that died as soon as their lease has run out, and none before."""
    await gateways[0].put([delivery("evt_1")], NOW)
    [lease] = await gateways[0].lease(1, LEASE, NOW)
    await gateways[0].close()
    assert await gateways[1].lease(1, LEASE, lease.until) == []
    assert len(await gateways[1].lease(1, LEASE, lease.until + 1)) == 1
