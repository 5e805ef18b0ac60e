"""The whole gateway on an inbox in PostgreSQL: one, and several that share it."""

import asyncio
import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.app import Gateway
from gateway.config import load
from gateway.errors import ConfigError, InboxUnavailable
from gateway.history import Query
from gateway.model import State
from tests import postgres_schemas
from tests.world import ENVIRON, EVENT_KEY, World, running_world

BODY = b'{"id": "evt_1", "type": "made"}'


def on_postgres(place: Path) -> str:
    """Return the tables of a configuration with an inbox in PostgreSQL."""
    url, schema = postgres_schemas.of(place)
    return f'[inbox]\nurl = "{url}"\nschema_name = "{schema}"\n'


async def test_a_webhook_becomes_an_event(idle_world: World, tmp_path: Path) -> None:
    """What is sent is kept, forwarded and found, and a re-send is absorbed, as with the other engine."""
    await idle_world.start(on_postgres(tmp_path))
    first, again = await idle_world.send("acme", BODY), await idle_world.send("acme", BODY)
    assert (first[0], json.loads(first[1])["status"]) == (200, "accepted")
    assert (again[0], json.loads(again[1])["status"]) == (200, "duplicate")
    [event] = await idle_world.arrived(1)
    assert event.id == "acme:evt_1:made"
    [history] = await idle_world.settled(1)
    assert (history.duplicates, history.entry.delivery.body) == (1, BODY)


async def test_gateways_share_one_inbox(tmp_path: Path) -> None:
    """A re-send to another gateway is absorbed, and either forwards what the other took."""
    async with AsyncExitStack() as stack:
        worlds = [await stack.enter_async_context(running_world(tmp_path / name)) for name in _folders(tmp_path)]
        for world in worlds:
            await world.start(on_postgres(tmp_path))
        for n in range(20):
            answers = [
                await world.send("acme", json.dumps({"id": f"evt_{n}", "type": "made"}).encode()) for world in worlds
            ]
            assert [json.loads(text)["status"] for _, text in answers] == ["accepted", "duplicate"]
        await worlds[0].settled(20)
        arrived = [event.id for world in worlds for event in world.event_api.events]
        assert sorted(arrived) == sorted(f"acme:evt_{n}:made" for n in range(20))
        await worlds[0].stop()
        assert (await worlds[1].send("acme", BODY.replace(b"evt_1", b"last")))[0] == 200
        assert await worlds[1].settled(21)


def _folders(place: Path) -> list[str]:
    names = ["one", "two"]
    for name in names:
        (place / name).mkdir()
    return names


async def test_all_gateways_go_by_the_time_of_the_database(idle_world: World, tmp_path: Path) -> None:
    """The clock of a gateway follows the database's, so that due times mean the same to all of them."""
    await idle_world.start(on_postgres(tmp_path))
    gateway = idle_world.gateway
    assert gateway.inbox.time
    assert abs(gateway.clock.now() - gateway.inbox.time()) < 1_000
    before = gateway.clock.now()
    await asyncio.sleep(0.02)
    assert gateway.clock.now() > before


async def test_a_server_that_is_away_is_said_at_the_start(tmp_path: Path) -> None:
    """Without its database a gateway does not start, and the sentence holds neither user nor password."""
    (tmp_path / "gateway.toml").write_text(
        '[inbox]\nurl = "postgresql://someone:${WORD}@127.0.0.1:1/db"\n[sources.x]\nprovider = "hmac"\nverify = "none"'
    )
    config = load(tmp_path / "gateway.toml", {**ENVIRON, "WORD": "canary"})
    assert config.inbox_name == "postgresql://127.0.0.1:1/db"
    with pytest.raises(InboxUnavailable, match="Connection refused") as refused:
        await Gateway(config).start()
    assert "canary" not in str(refused.value)
    assert "canary" not in repr(config)


def test_a_password_is_not_written_out(tmp_path: Path) -> None:
    """A password in the file itself is refused, without showing it."""
    (tmp_path / "gateway.toml").write_text('[inbox]\nurl = "postgresql://someone:canary@127.0.0.1/db"\n')
    with pytest.raises(ConfigError, match="holds a password") as refused:
        load(tmp_path / "gateway.toml", {})
    assert "canary" not in str(refused.value)


async def test_what_waits_is_forwarded_after_a_restart(idle_world: World, tmp_path: Path) -> None:
    """What one gateway took and did not forward goes out with the next."""
    idle_world.event_api.keys = set()
    await idle_world.start(on_postgres(tmp_path))
    assert (await idle_world.send("acme", BODY))[0] == 200
    await idle_world.stop()
    assert not idle_world.event_api.events
    idle_world.event_api.keys = {EVENT_KEY}
    await idle_world.start(on_postgres(tmp_path))
    await idle_world.arrived(1)
    await idle_world.settled(1)
    assert await idle_world.gateway.inbox.search(Query(state=State.PENDING)) == []
