"""A backlog of a million entries: the start and the work after it take as long as with none. The long form only."""

import time
from pathlib import Path

import apsw
import pytest

from gateway.history import Query
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import ReplayMode, State
from tests.inbox.samples import LEASE, NOW, answered, keep

MILLION = 1_000_000
_BACKLOG = """
WITH RECURSIVE number(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM number WHERE value < :number)
INSERT INTO entries (source, provider, delivery_id, type, trace_id, received_at, state, due_at)
SELECT 'source_' || (value % 10), 'hmac', 'evt_' || value, 'order.created', '', :now + value / 1000, 'pending',
  :now + value / 1000 FROM number;
INSERT INTO bodies (key, metadata, body)
SELECT key, (SELECT metadata FROM bodies), zeroblob(300) FROM entries WHERE delivery_id <> 'evt_0';
INSERT INTO dedupe (key, source, digest, first_seen, expires_at)
SELECT key, source, randomblob(32), :now, :now + 1000000 FROM entries WHERE delivery_id <> 'evt_0';
"""


def fill(path: Path) -> None:
    """Make a million entries with bodies of 300 bytes, from ten sources."""
    connection = apsw.Connection(str(path))
    with connection:
        connection.execute(_BACKLOG, {"now": NOW, "number": MILLION})
    connection.close()


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_a_million_pending_entries(tmp_path: Path) -> None:
    """With a million pending entries the file opens in under two seconds, and leases, settles and puts in moments."""
    path = tmp_path / "inbox.db"
    inbox = SqliteInbox.open(path, dedupe_window_ms=1_000_000)
    await keep(inbox, "evt_0")
    await inbox.close()
    fill(path)
    took: dict[str, float] = {}
    since = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal since
        took[name] = round(time.perf_counter() - since, 3)
        since = time.perf_counter()

    inbox = SqliteInbox.open(path, dedupe_window_ms=1_000_000)
    lap("open")
    leases = await inbox.lease(500, LEASE, NOW + 10_000)
    lap("lease")
    beside = await inbox.lease(500, LEASE, NOW + 10_000, {f"source_{n}" for n in range(9)})
    lap("lease beside nine excluded sources")
    await inbox.settle([(lease, answered(lease, state=State.DEAD)) for lease in leases], NOW)
    lap("settle")
    await keep(inbox, "new")
    lap("put")
    await inbox.replay(Query(state=State.DEAD, limit=100), ReplayMode.RESEND, NOW)
    lap("replay")
    await inbox.prune(NOW + MILLION, NOW + 2 * MILLION)
    lap("prune")
    await inbox.close()
    print(took)  # noqa: T201 - the figures are what a run with -s is for
    assert (len(leases), len(beside)) == (500, 500)
    assert took.pop("open") < 2
    assert max(took.values()) < 1
