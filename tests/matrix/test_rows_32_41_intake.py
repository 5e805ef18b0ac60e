"""Rows 32 to 41: what strangers, clients and clocks do to the intake."""

import asyncio
import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.history import Query
from gateway.model import State
from tests.manual_clock import ManualClock
from tests.signed import SECRETS, dumps, signed_headers
from tests.world import World

HOUR = 3_600_000
DAY = 24 * HOUR
IDLE_SOCKETS = 400

HOSTILE_JSON = {
    "deep": b'{"id":"h1","type":"a","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "long integer": b'{"id":"h1","type":"a","x":' + b"9" * 5_000 + b"}",
    "not a number": b'{"id":"h1","type":"a","x":NaN}',
    "infinite": b'{"id":"h1","type":"a","x":1e999}',
    "repeated keys": b'{"id":"h1","id":"h2","type":"a","type":"b"}',
    "a NUL": b'{"id":"h1","type":"a","x":"\\u0000"}',
    "lone surrogate": b'{"id":"h1","type":"a","x":"\\ud800"}',
    "a NUL in the id": b'{"id":"\\u0000","type":"a"}',
    "lone surrogate in the id": b'{"id":"\\ud800","type":"a"}',
    "not JSON": b"\x00\x01",
}


async def test_idle_sockets_hold_up_nobody(world: World) -> None:
    """Hundreds of sockets that say nothing, or half a head, leave webhooks served, and half bodies end."""
    world.gateway.receiver.body_timeout = 0.2
    sockets = [await asyncio.open_connection("127.0.0.1", world.gateway.port) for _ in range(IDLE_SOCKETS)]
    for number, (_, writer) in enumerate(sockets):
        if number % 2:
            writer.write(b"POST /webhooks/stripe HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
    async with asyncio.timeout(5):
        for number in range(20):
            status, _ = await world.send("acme", dumps({"id": f"o-{number}", "type": "a"}))
            assert status == 200
        answers = [await reader.readline() for reader, _ in sockets[1::2]]
    assert set(answers) == {b"HTTP/1.1 408 Request Timeout\r\n"}
    for _, writer in sockets:
        writer.close()


async def test_client_that_leaves_before_the_answer(world: World) -> None:
    """A client that hangs up after its whole request has its delivery kept once, and its re-send is a duplicate."""
    body = dumps({"id": "o-1", "type": "a"})
    headers = signed_headers("hmac", body, at=world.gateway.clock.wall())
    head = "".join(f"{name}: {value}\r\n" for name, value in headers)
    _, writer = await asyncio.open_connection("127.0.0.1", world.gateway.port)
    writer.write(
        f"POST /webhooks/acme HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body
    )
    await writer.drain()
    writer.transport.abort()
    await world.arrived(1)
    status, text = await world.post("acme", headers, body)
    assert (status, json.loads(text)["status"]) == (200, "duplicate")
    assert len(world.event_api.events) == 1


@pytest.mark.parametrize("kind", HOSTILE_JSON)
async def test_hostile_json(world: World, kind: str) -> None:
    """JSON made to break parsers is refused as malformed, or kept and forwarded or parked; nothing breaks."""
    body = HOSTILE_JSON[kind]
    with capture_logs() as lines:
        status, _ = await world.send("acme", body)
        assert status in {200, 400}
        await world.send("acme", dumps({"id": "after", "type": "a"}))
        await world.event_api.until(lambda: any(event.id == "acme:after:a" for event in world.event_api.events))
        kept = await world.gateway.inbox.search(Query())
        while not {history.entry.state for history in kept} <= {State.FORWARDED, State.DEAD, State.SKIPPED}:
            await asyncio.sleep(0.01)
            kept = await world.gateway.inbox.search(Query())
    assert len(kept) == (2 if status == 200 else 1)
    assert not [line for line in lines if line["event"] == "crashed"]


async def test_signature_of_another_source(world: World) -> None:
    """What is genuine for one source is 401 for another of the same scheme, and nothing is kept."""
    body = dumps({"id": "o-1", "type": "a"})
    at = world.gateway.clock.wall()
    stranger = signed_headers("hmac", body, secret=SECRETS["github"], at=at)
    assert (await world.post("acme", stranger, body))[0] == 401
    assert (await world.post("standard", signed_headers("hmac", body, at=at), body))[0] == 401
    assert await world.gateway.inbox.search(Query()) == []


async def test_re_sends_days_later(idle_world: World) -> None:
    """A re-send after 25 hours, when the event API forgot the id, or after 6.9 days makes no second event."""
    clock = ManualClock()
    await idle_world.start(clock=clock)
    body = dumps({"id": "o-1", "type": "a"})
    await idle_world.send("acme", body)
    await idle_world.arrived(1)
    for later in (25 * HOUR, int(6.9 * DAY) - 25 * HOUR):
        clock.advance(later)
        status, text = await idle_world.send("acme", body)
        assert (status, json.loads(text)["status"]) == (200, "duplicate")
    assert len(idle_world.event_api.events) == 1
    assert len(await idle_world.gateway.inbox.search(Query())) == 1


async def test_rotation_under_load(world: World, tmp_path: Path) -> None:
    """While a secret is rotated, first beside the old one and then alone, no genuine request is refused."""
    old, new = SECRETS["hmac"], "another key of thirty-two bytes!"
    statuses: list[int] = []

    async def send(count: int, *secrets: str) -> None:
        for number in range(count):
            body = dumps({"id": f"{len(statuses)}-{number}", "type": "a"})
            at = world.gateway.clock.wall()
            headers = signed_headers("hmac", body, secret=secrets[number % len(secrets)], at=at)
            statuses.append((await world.post("acme", headers, body))[0])

    async def rotate(text: str) -> None:
        config = tmp_path / "gateway.toml"
        world.write_config()
        config.write_text(config.read_text().replace('secrets = ["${ACME_SECRET}"]', text))
        await world.gateway.reload(world.read_config(ACME_NEW=new))

    await asyncio.gather(send(30, old), rotate('secrets = ["${ACME_SECRET}", "${ACME_NEW}"]'))
    await send(20, old, new)
    await asyncio.gather(send(30, new), rotate('secrets = ["${ACME_NEW}"]'))
    assert (len(statuses), set(statuses)) == (80, {200})
    body = dumps({"id": "late", "type": "a"})
    assert (await world.post("acme", signed_headers("hmac", body, at=world.gateway.clock.wall()), body))[0] == 401


@pytest.mark.parametrize("jump", [HOUR, -HOUR, DAY, -DAY])
async def test_wall_clock_that_jumps(idle_world: World, jump: int) -> None:
    """A jump of the wall clock moves the signature window and nothing else: back-off, retries and dedupe go on."""
    clock = ManualClock()
    await idle_world.start(clock=clock)
    await idle_world.event_api.stop()
    body = dumps({"id": "o-1", "type": "a"})
    assert (await idle_world.send("acme", body))[0] == 200
    for _ in range(500):
        if idle_world.gateway.lane_state != "healthy":
            break
        await asyncio.sleep(0.01)
    lane = idle_world.gateway._sender.lane
    waiting = lane.wait(clock.now())
    assert waiting > 0
    clock.jump(jump)
    assert lane.wait(clock.now()) == waiting
    late = "timestamp_stale" if jump > 0 else "timestamp_in_future"
    status, text = await idle_world.send("acme", dumps({"id": "o-2", "type": "a"}), at=clock.now())
    assert (status, json.loads(text)["reason"]) == (401, late)
    status, text = await idle_world.send("acme", body)
    assert (status, json.loads(text)["status"]) == (200, "duplicate")
    await idle_world.event_api.start()
    async with asyncio.timeout(5):
        while not idle_world.event_api.events:
            clock.advance(1_000)
            await asyncio.sleep(0.01)
    clock.jump(-jump)
    assert (await idle_world.send("acme", dumps({"id": "o-2", "type": "a"})))[0] == 200
