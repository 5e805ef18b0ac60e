"""`gateway move` as an operator runs it: refused while a gateway serves, killed and run again, and gone on with."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from gateway.errors import InboxMoved
from gateway.history import Query
from gateway.inbox.postgres import PostgresInbox
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import State
from tests import postgres_schemas
from tests.cli import child
from tests.cli.conftest import Beside, Cli, Result
from tests.cli.stored import configure
from tests.inbox.engines import DAY
from tests.inbox.lives import everything, today
from tests.inbox.samples import keep, settle_all
from tests.world import ENVIRON

NOTHING = "def transform(delivery): ...\n"
BODY = b'{"id": "evt_1", "type": "made"}'
FROM_HERE = ("move", "--from", "sqlite:inbox.db")
MANY = 2_300  # three batches
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE ONLY%'"


def on_postgres(place: Path) -> str:
    """Return the tables of a configuration with an inbox in PostgreSQL."""
    url, schema = postgres_schemas.of(place)
    return f'[inbox]\nurl = "{url}"\nschema_name = "{schema}"\n'


def point_to_postgres(folder: Path) -> str:
    """Have gateway.toml name an inbox in PostgreSQL; return its URL."""
    configure(folder, NOTHING)
    text = (folder / "gateway.toml").read_text()
    (folder / "gateway.toml").write_text(on_postgres(folder) + text)
    return postgres_schemas.url()


def fill(count: int) -> None:
    """Keep so many deliveries in ./inbox.db, of which half are forwarded."""

    async def go() -> None:
        inbox = SqliteInbox.open(Path("inbox.db"), dedupe_window_ms=7 * DAY)
        await keep(inbox, *(f"first_{n}" for n in range(count // 2)), now=today())
        await settle_all(inbox, State.FORWARDED, today())
        await keep(inbox, *(f"then_{n}" for n in range(count - count // 2)), now=today())
        await inbox.close()

    asyncio.run(go())


async def target(folder: Path) -> PostgresInbox:
    """Open the inbox that was moved into."""
    url, schema = postgres_schemas.of(folder)
    return await PostgresInbox.open(url, schema=schema, dedupe_window_ms=7 * DAY)


async def test_a_gateway_goes_on_there(beside: Beside, folder: Path) -> None:
    """A delivery that was tried in vain becomes the same event from the target, which absorbs its re-send."""
    world, more = beside.world, on_postgres(folder)
    world.event_api.keys = {"another"}
    await world.send("acme", BODY)
    for _ in range(500):
        if (await world.gateway.inbox.search(Query()))[0].attempts:
            break
        await asyncio.sleep(0.01)
    refused = await child.run(*FROM_HERE, "--to", postgres_schemas.url())
    assert (refused.code, "already served by process" in refused.err) == (2, True)
    await world.stop()
    world.write_config(more)
    moved = await child.run(*FROM_HERE)
    assert moved.code == 0
    assert "1 delivery, of 1 source: 1 pending" in moved.out
    with pytest.raises(InboxMoved):
        await world.start()
    world.event_api.keys = {ENVIRON["INNGEST_EVENT_KEY"]}
    await world.start(more)
    assert json.loads((await world.send("acme", BODY))[1])["status"] == "duplicate"
    [event] = await world.arrived(1)
    assert event.id == "acme:evt_1:made"
    [history] = await world.settled(1)
    assert (len(history.attempts), history.duplicates) == (2, 1)


def test_serve_refuses_a_moved_file(cli: Cli, folder: Path) -> None:
    """`gateway serve` says where the inbox is, and how to serve the file all the same, until that was done."""
    configure(folder, NOTHING)
    fill(1)
    name, schema = postgres_schemas.of(folder)
    with (folder / "gateway.toml").open("a") as file:
        file.write(f'[inbox]\nurl = "sqlite:inbox.db"\nschema_name = "{schema}"\n')
    assert cli("move", "--to", name).code == 0
    refused = asyncio.run(child.run("serve"))
    assert refused.code == 2
    assert "inbox.db was moved to postgresql://" in refused.err + refused.out
    assert "gateway move --undo --from sqlite:" in refused.err + refused.out
    undone = cli("move", "--undo", "--from", "sqlite:inbox.db")
    assert (undone.code, "may be served again" in undone.out) == (0, True)
    assert asyncio.run(_served(folder)) == 1


@pytest.mark.parametrize(("point", "copied"), [("before_commit=kill@2", 1_000), ("after_commit=kill@3", MANY)])
def test_killed_and_run_again(cli: Cli, folder: Path, point: str, copied: int) -> None:
    """After kill -9 in the middle the next run goes on there: everything is in the target, and nothing twice."""
    point_to_postgres(folder)
    fill(MANY)
    command = [sys.executable, "-m", "gateway", *FROM_HERE]
    killed = subprocess.run(command, env={**os.environ, "GATEWAY_FAILPOINTS": point}, check=False, timeout=60)  # noqa: S603 - ours
    assert killed.returncode == -9
    assert asyncio.run(_moved(folder)) == copied
    again = cli(*FROM_HERE, "--json")
    assert again.code == 0
    assert again.json["deliveries"] == MANY
    assert again.json["sources"] == {"acme": {"forwarded": MANY // 2, "pending": MANY // 2}}
    assert (again.json["absorbed"], len(again.json["sha256"])) == (0, 64)
    assert asyncio.run(_moved(folder)) == MANY
    third = cli(*FROM_HERE)
    assert (third.code, "was moved to" in third.err) == (2, True)


async def _moved(folder: Path) -> int:
    inbox = await target(folder)
    found = await inbox.search(Query(limit=100_000))
    await inbox.close()
    ids = {history.entry.delivery.id for history in found}
    assert len(ids) == len(found)
    return len(ids)


def test_a_dry_run(cli: Cli, folder: Path) -> None:
    """It counts, reaches the target, and changes nothing on either side."""
    point_to_postgres(folder)
    fill(4)
    before = (folder / "inbox.db").read_bytes()
    told = cli(*FROM_HERE, "--dry-run")
    assert told.code == 0
    assert "4 deliveries with 0.0 MB of bodies, of 1 source: 2 forwarded, 2 pending" in told.out
    counted = cli(*FROM_HERE, "--dry-run", "--json").json
    assert (counted["deliveries"], counted["begun"], counted["body_bytes"]) == (4, None, 62)
    assert (folder / "inbox.db").read_bytes() == before
    assert not asyncio.run(_has_schema(folder))
    cli(*FROM_HERE)
    assert "was moved to postgresql://" in cli(*FROM_HERE, "--dry-run").out


async def _has_schema(folder: Path) -> bool:
    url, schema = postgres_schemas.of(folder)
    connection = await asyncpg.connect(url)
    found = await connection.fetchval("SELECT count(*) FROM pg_namespace WHERE nspname = $1", schema)
    await connection.close()
    return bool(found)


async def test_ctrl_c(folder: Path) -> None:
    """Ctrl-C lets the batch under way be finished and says how to go on."""
    url = point_to_postgres(folder)
    await asyncio.to_thread(fill, MANY)
    await (await target(folder)).close()
    held, other, waits = await asyncpg.connect(url), await asyncpg.connect(url), asyncio.Event()
    try:
        await held.execute(f"BEGIN; LOCK TABLE {postgres_schemas.of(folder)[1]}.entries IN ACCESS EXCLUSIVE MODE")
        ended = asyncio.create_task(child.interrupted(*FROM_HERE, when=waits))
        async with asyncio.timeout(child.SECONDS):
            while not await other.fetchval(WAITING):
                pass
        waits.set()
        await asyncio.sleep(0.1)  # so that the signal is sent before the lock goes
    finally:
        await asyncio.gather(held.close(), other.close())
    result = await ended
    assert (result.code, "stopped; run the same again" in result.err) == (130, True)
    assert await _moved(folder) == 1_000


def test_stopped_and_given_up(cli: Cli, folder: Path) -> None:
    """--undo takes away what a move that was killed has copied, and the file is what it was."""
    point_to_postgres(folder)
    fill(MANY)
    command = [sys.executable, "-m", "gateway", *FROM_HERE]
    environ = {**os.environ, "GATEWAY_FAILPOINTS": "after_commit=kill@2"}
    assert subprocess.run(command, env=environ, check=False, timeout=60).returncode == -9  # noqa: S603 - ours
    assert "a move to" in cli(*FROM_HERE, "--dry-run").out
    undone = cli(*FROM_HERE, "--undo", "--json")
    assert (undone.code, undone.json["deleted"], undone.json["was"]) == (0, 2_000, "copying")
    assert asyncio.run(_moved(folder)) == 0
    assert asyncio.run(_served(folder)) == MANY


async def _served(folder: Path) -> int:
    inbox = SqliteInbox.open(folder / "inbox.db", dedupe_window_ms=DAY)
    try:
        return len(await everything(inbox))
    finally:
        await inbox.close()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--to", "postgresql://me:canary-word@db/x"), "--to: holds a password, and secrets are not written out here"),
        (("--dry-run", "--undo"), "choose one of them"),
        (("--to", "postgresql://"), "--to: does not name a host and a database"),
        (("--to", "sqlite:other.db"), "--to: an inbox can only be moved into PostgreSQL"),
        (("--from", "postgresql://a@db/x"), "--from: only a SQLite inbox can be moved"),
        (("--from", "sqlite:missing.db", "--to", "postgresql://a@127.0.0.1:1/x"), "there is no inbox at "),
        ((), "gateway.toml: inbox.url: an inbox can only be moved into PostgreSQL; name it with --to"),
    ],
)
def test_what_is_refused(cli: Cli, folder: Path, arguments: tuple[str, ...], sentence: str) -> None:
    """What cannot be moved, or not to there, is told in a sentence without a password."""
    configure(folder, NOTHING)
    fill(1)
    refused = cli("move", *arguments)
    assert refused.code == 2
    assert sentence in refused.err
    assert "canary-word" not in refused.err + refused.out


def test_what_was_lost_before_is_told(cli: Cli, folder: Path) -> None:
    """A file that lacks what was committed to it is moved as it is, and that is said."""
    point_to_postgres(folder)
    fill(2)
    lock = folder / "inbox.db.lock"
    pid, _, sound = lock.read_text().splitlines()
    lock.write_text(f"{pid}\n{5:020d}\n{sound}\n")
    moved = cli(*FROM_HERE)
    assert (moved.code, "up to 3 accepted deliveries are missing" in moved.err) == (0, True)


def test_a_password_from_the_environment(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reference in --to is read from the environment, and a target that does not answer leaves the file alone."""
    configure(folder, NOTHING)
    fill(1)
    monkeypatch.setenv("WORD", "canary-word")
    unreachable = cli("move", "--to", "postgresql://someone:${WORD}@127.0.0.1:1/x")
    _is_about_the_server(unreachable)
    _is_about_the_server(cli("move", "--to", "postgresql://someone:${WORD}@127.0.0.1:1/x", "--dry-run"))
    assert asyncio.run(_served(folder)) == 1


def _is_about_the_server(result: Result) -> None:
    assert (result.code, "the inbox's PostgreSQL cannot serve" in result.err) == (1, True)
    assert "canary-word" not in result.err + result.out
