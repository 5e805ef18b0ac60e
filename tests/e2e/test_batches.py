"""A batch of the catalogue, the whole way: one event per item, and the same ids when it comes in other company."""

import base64
import hashlib
import hmac
import json
from typing import Any

from gateway.model import State
from tests.world import World

SECRET = "a channel secret of LINE"
LINE = '[sources.line]\nprovider = "line"\nsecrets = ["${LINE_SECRET}"]\n'


async def send(world: World, *events: dict[str, Any]) -> int:
    """Send a delivery as LINE signs it; return the status."""
    body = json.dumps({"destination": "U1", "events": events}).encode()
    signature = base64.b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).decode()
    headers = [("X-Line-Signature", signature), ("Content-Type", "application/json")]
    return (await world.post("line", headers, body))[0]


def item(number: int, *, again: bool = False) -> dict[str, Any]:
    """Make an item; what LINE sends again says so."""
    return {
        "type": "message",
        "webhookEventId": f"01K{number}",
        "timestamp": 1_700_000_000_000 + number,
        "deliveryContext": {"isRedelivery": again},
    }


async def test_items_keep_their_ids_in_other_company(idle_world: World) -> None:
    """An item that comes again in another batch has the id it had, and a delivery without items is skipped."""
    await idle_world.start(LINE, LINE_SECRET=SECRET)
    statuses = [
        await send(idle_world, item(1), item(2)),
        await send(idle_world, item(2, again=True), item(3)),
        await send(idle_world),
    ]
    assert statuses == [200, 200, 200]
    events = await idle_world.arrived(4)
    assert sorted((event.id, event.ts) for event in events) == [
        (f"line:01K{number}:message", 1_700_000_000_000 + number) for number in (1, 2, 2, 3)
    ]
    assert {event.name for event in events} == {"line/message"}
    [skipped] = await idle_world.settled(1, State.SKIPPED)
    assert skipped.entry.reason == "the delivery holds no items; it is a heartbeat or a test"
