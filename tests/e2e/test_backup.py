"""Backups by the command, of an inbox that a gateway in another process is filling."""

import asyncio
import itertools
from pathlib import Path

import aiohttp

from gateway.dev.event_api import LocalEventApi
from gateway.history import Query
from gateway.inbox.sqlite import SqliteInbox
from gateway.inbox.sqlite_restore import restore
from tests.cli.child import run
from tests.process import Process, post
from tests.world import TOML

SENDERS = 4
BACKUPS = 2


async def test_backups_while_webhooks_arrive(tmp_path: Path, event_api: LocalEventApi) -> None:
    """Every webhook is accepted meanwhile, and each backup holds all that was answered before it began."""
    config = tmp_path / "gateway.toml"
    config.write_text(TOML.format(url=event_api.url))
    gateway = Process(config)
    await gateway.start()
    answered: list[str] = []
    done = False

    async def send(session: aiohttp.ClientSession, sender: int) -> None:
        for number in itertools.count():
            if done:
                return
            name = f"d{sender}-{number}"
            assert await post(session, gateway.port, name) == 200
            answered.append(name)

    before: list[set[str]] = []
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as senders:
        for sender in range(SENDERS):
            senders.create_task(send(session, sender))
        try:
            for number in range(BACKUPS):
                before.append(set(answered))
                made = await run("backup", str(tmp_path / f"{number}.db"), "--config", str(config))
                assert (made.code, made.err) == (0, "")
                assert "found sound" in made.out
        finally:
            done = True
    assert await gateway.stop() == 0
    for number, expected in enumerate(before):
        held = await _held(tmp_path / f"{number}.db", tmp_path / f"restored-{number}.db")
        assert expected <= held <= set(answered)
    assert len(before[-1]) > len(before[0])


async def _held(backup: Path, inbox: Path) -> set[str]:
    await asyncio.to_thread(restore, backup, inbox)
    opened = SqliteInbox.open(inbox, dedupe_window_ms=86_400_000)
    found = await opened.search(Query(limit=1_000_000))
    assert opened.alarms == ()
    await opened.close()
    return {history.entry.delivery.id for history in found}
