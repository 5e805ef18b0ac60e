"""What PostgreSQL does to an inbox: refusals at the start, locks, cuts, restarts, busy connections, odd values."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from gateway.errors import InboxUnavailable, InboxUnsupported
from gateway.history import Query
from gateway.inbox.postgres import PostgresInbox
from gateway.model import SentEvent
from tests import postgres_schemas
from tests.inbox.engines import DAY
from tests.inbox.samples import LEASE, NOW, answered, delivery, keep
from tests.postgres_proxy import CommitCutter
from tests.postgres_server import PostgresServer

Open = Callable[..., Awaitable[PostgresInbox]]


@pytest.fixture
async def open_inbox(tmp_path: Path) -> AsyncIterator[Open]:
    """Open inboxes of this test's schema, as one gateway each does."""
    opened: list[PostgresInbox] = []
    given, schema = postgres_schemas.of(tmp_path)

    async def open_one(url: str = given, connections: int = 8) -> PostgresInbox:
        opened.append(await PostgresInbox.open(url, schema=schema, dedupe_window_ms=7 * DAY, connections=connections))
        return opened[-1]

    yield open_one
    for inbox in opened:
        await inbox.close()


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[asyncpg.Connection]:
    """Give a session of an operator, who sees the tables of this test."""
    url, schema = postgres_schemas.of(tmp_path)
    connection = await asyncpg.connect(url, server_settings={"search_path": schema})
    yield connection
    await connection.close()


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Give a server of the test's own, not yet started."""
    made = PostgresServer()
    made.create()
    yield made
    made.remove()


async def test_a_server_that_does_not_sync_is_refused(server: PostgresServer) -> None:
    """Without fsync nothing that was answered is safe, so the gateway does not start."""
    server.settings["fsync"] = "off"
    server.start()
    with pytest.raises(InboxUnsupported, match="fsync = off"):
        await PostgresInbox.open(server.dsn, dedupe_window_ms=1)


async def test_a_database_of_another_encoding_is_refused(operator: asyncpg.Connection) -> None:
    """Text is UTF-8, so the database must be."""
    await operator.execute("DROP DATABASE IF EXISTS latin")
    await operator.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    with pytest.raises(InboxUnsupported, match="encoded as LATIN1"):
        await PostgresInbox.open(f"{postgres_schemas.url().rpartition('/')[0]}/latin", dedupe_window_ms=1)


async def test_a_crash_of_the_server_is_not_noticed(server: PostgresServer) -> None:
    """After a crash and a restart the next put and lease work at once, on connections made anew."""
    server.start()
    inbox = await PostgresInbox.open(server.dsn, dedupe_window_ms=DAY)
    await keep(inbox, "evt_1")
    await asyncio.to_thread(server.kill)
    with pytest.raises(InboxUnavailable):
        await keep(inbox, "evt_2")
    await asyncio.to_thread(server.start)
    await keep(inbox, "evt_2")
    assert len(await inbox.lease(9, LEASE, NOW)) == 2
    await inbox.close()


async def test_connections_that_were_ended_are_made_anew(open_inbox: Open, operator: asyncpg.Connection) -> None:
    """Where the server ends idle connections, the next operation takes new ones and nobody notices."""
    inbox = await open_inbox()
    await keep(inbox, "evt_1")
    ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = 'webhook-gateway'"
    assert await operator.fetchval(ended)
    assert len(await inbox.search(Query())) == 1
    await keep(inbox, "evt_2")


@pytest.mark.parametrize("committed", [False, True])
async def test_a_cut_in_the_middle_of_a_commit(open_inbox: Open, committed: bool) -> None:  # noqa: FBT001 - the case
    """A put whose COMMIT was not confirmed is refused, whatever became of it; the re-send is kept or absorbed."""
    url = postgres_schemas.url()
    cutter = CommitCutter(urlsplit(url).port or 5432, seed=0)
    await cutter.start()
    inbox = await open_inbox(url.replace(str(urlsplit(url).port), str(cutter.port)))
    await keep(inbox, "first")
    cutter.cut_next(answered=committed)
    with pytest.raises(InboxUnavailable, match="cannot serve"):
        await keep(inbox, "evt_1")
    [receipt] = await inbox.put([delivery("evt_1")], NOW)
    assert receipt.duplicate is committed
    await inbox.close()
    await cutter.stop()


async def test_a_row_that_another_holds(open_inbox: Open, operator: asyncpg.Connection) -> None:
    """An id that somebody is claiming is waited for, and known when he is done."""
    inbox = await open_inbox()
    [first] = await inbox.put([delivery("evt_1")], NOW)
    transaction = operator.transaction()
    await transaction.start()
    await operator.execute("UPDATE dedupe SET hits = hits + 1")
    put = asyncio.create_task(inbox.put([delivery("evt_1")], NOW))
    await asyncio.sleep(0.1)
    assert not put.done()
    await transaction.commit()
    [again] = await put
    assert (again.duplicate, again.key) == (True, first.key)
    [history] = await inbox.search(Query())
    assert history.duplicates == 2


async def test_a_row_that_is_never_let_go(open_inbox: Open, operator: asyncpg.Connection) -> None:
    """Whoever waits for a lock is refused in the end, and what comes after is kept."""
    inbox = await open_inbox()
    await keep(inbox, "evt_1")
    transaction = operator.transaction()
    await transaction.start()
    await operator.execute("UPDATE dedupe SET hits = hits + 1")
    with pytest.raises(InboxUnavailable, match="lock timeout"):
        await keep(inbox, "evt_1")
    await transaction.rollback()
    await keep(inbox, "evt_1", "evt_2")
    assert len(await inbox.search(Query())) == 2


async def test_busy_connections_are_refused_and_puts_go_on(open_inbox: Open, operator: asyncpg.Connection) -> None:
    """Who gets no connection in time is refused rather than queued without end, and intake has its own."""
    inbox = await open_inbox(connections=4)
    await keep(inbox, "evt_1")
    transaction = operator.transaction()
    await transaction.start()
    await operator.execute("LOCK TABLE outcomes IN ACCESS EXCLUSIVE MODE")
    searches = [asyncio.create_task(inbox.search(Query())) for _ in range(5)]
    await keep(inbox, "evt_2")
    answers = await asyncio.gather(*searches, return_exceptions=True)
    await transaction.rollback()
    assert [type(answer) for answer in answers] == [InboxUnavailable] * 5
    assert sum("became free" in str(answer) for answer in answers) >= 3
    assert len(await inbox.search(Query())) == 2


async def test_a_deadlock_is_tried_again(open_inbox: Open, operator: asyncpg.Connection) -> None:
    """Two that wait for each other are told apart by the server, and the one that lost begins again."""
    inbox = await open_inbox()
    await keep(inbox, "evt_2")
    await operator.execute("SET deadlock_timeout = '30s'")  # so that the other one loses
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INTO dedupe%'"
    for _ in range(20):  # a machine that stands still for a second lets the put give up before it is in a deadlock
        transaction = operator.transaction()
        await transaction.start()
        await operator.execute("UPDATE dedupe SET hits = hits + 1 WHERE delivery_id = 'evt_2'")
        put = asyncio.create_task(inbox.put([delivery("evt_1"), delivery("evt_2")], NOW))
        for _ in range(1_000):
            if put.done() or await operator.fetchval(waiting):
                break
            await asyncio.sleep(0.002)
        await operator.execute("INSERT INTO dedupe VALUES ('acme', 'evt_1', NULL, 0, 0, 0)")
        await transaction.rollback()
        with suppress(InboxUnavailable):
            receipts = await put
            break
    assert [receipt.duplicate for receipt in receipts] == [False, True]
    assert [history.duplicates for history in await inbox.search(Query())] == [0, 1]


async def test_a_gateway_that_was_stopped_holds_up_nobody_for_long(open_inbox: Open, tmp_path: Path) -> None:
    """A process that stands still within a transaction loses it after a second, and its ids are free."""
    inbox = await open_inbox()
    url, schema = postgres_schemas.of(tmp_path)
    program = (
        "import asyncio, os, signal\n"
        "from gateway.inbox import postgres_put\n"
        "from gateway.inbox.postgres import PostgresInbox\n"
        "from tests.inbox.samples import NOW, delivery\n"
        "async def stand_still(*_): print('claimed', flush=True); os.kill(os.getpid(), signal.SIGSTOP)\n"
        "postgres_put._count_resends = stand_still\n"
        "async def go():\n"
        f"    inbox = await PostgresInbox.open({url!r}, schema={schema!r}, dedupe_window_ms=10**9)\n"
        "    await inbox.put([delivery('evt_1')], NOW)\n"
        "asyncio.run(go())\n"
    )
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, cwd=Path.cwd()
    )
    try:
        assert child.stdout
        assert await child.stdout.readline() == b"claimed\n"
        [receipt] = await inbox.put([delivery("evt_1")], NOW)
        assert not receipt.duplicate
    finally:
        child.send_signal(signal.SIGKILL)
        await child.wait()


async def test_a_value_that_cannot_be_kept_harms_no_other(open_inbox: Open) -> None:
    """What PostgreSQL cannot store is refused by itself, and what shared its commit is kept."""
    inbox = await open_inbox()
    sent = [replace(delivery(), id=name) for name in ("evt_1", "half a \ud800 character", "evt_2")]
    answers = await asyncio.gather(*(inbox.put([one], NOW) for one in sent), return_exceptions=True)
    assert isinstance(answers[1], InboxUnavailable)
    assert "half" not in str(answers[1])
    assert len(await inbox.search(Query())) == 2


async def test_ids_of_any_length(open_inbox: Open) -> None:
    """Ids that no index takes are known, found and told all the same."""
    inbox = await open_inbox()
    name = os.urandom(4_000).hex()
    [first] = await inbox.put([delivery(name, digest="aa" * 32)], NOW)
    [again] = await inbox.put([delivery(name)], NOW)
    [other] = await inbox.put([delivery(f"{name}.")], NOW)
    [replayed] = await inbox.put([delivery("short", digest="aa" * 32)], NOW)
    assert (again.duplicate, again.key, again.known_as) == (True, first.key, "")
    assert not other.duplicate
    assert (replayed.key, replayed.known_as) == (first.key, name)
    leases = await inbox.lease(9, LEASE, NOW)
    await inbox.settle([(lease, answered(lease, events=(SentEvent(name, "acme/a", name),))) for lease in leases], NOW)
    histories = await inbox.search(Query(id=name))
    assert {history.entry.key for history in histories} == {first.key, other.key}
    assert [history.duplicates for history in histories if history.entry.key == first.key] == [2]
