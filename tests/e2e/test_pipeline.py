"""The whole way of a webhook: received, verified, kept, mapped, forwarded, and its re-sends absorbed."""

import asyncio
import gzip
import json
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from gateway.history import Query
from gateway.model import State
from tests.signed import BODIES, FORM, dumps, form, signed_headers
from tests.world import World

STRIPE = {
    "id": "evt_1NG8Du2eZvKYlo2CUI79vXWy",
    "object": "event",
    "api_version": "2026-10-28.endive",
    "created": 1_686_089_970,
    "data": {"object": {"id": "cus_1", "object": "customer", "balance": 0, "name": "Ünïcode ♥"}},
    "livemode": False,
    "type": "customer.created",
}
SLACK = {
    "type": "event_callback",
    "token": "xyzz0WbapA4vBCDEFasx0q6G",
    "team_id": "T1",
    "api_app_id": "A1",
    "event_id": "Ev1",
    "event_time": 1_700_000_000,
    "event": {"type": "message", "channel": "C1", "text": "hi", "event_ts": "1700000000.000200"},
}
STANDARD = {"type": "invoice.paid", "timestamp": "2023-11-14T22:13:19.5Z", "data": {"id": "in_1"}}
ACME = {"id": "o-1", "type": "order.created", "created_at": "2023-11-14T22:13:19Z", "total": 12.5}


@pytest.mark.parametrize(
    ("source", "document", "event"),
    [
        (
            "stripe",
            STRIPE,
            {
                "name": "stripe/customer.created",
                "id": "stripe:evt_1NG8Du2eZvKYlo2CUI79vXWy:customer.created",
                "ts": 1_686_089_970_000,
                "v": "2026-10-28.endive",
            },
        ),
        (
            "slack",
            SLACK,
            {"name": "slack/message.posted", "id": "slack:A1:Ev1:message.posted", "ts": 1_700_000_000_000},
        ),
        (
            "standard",
            STANDARD,
            {"name": "standard-webhooks/invoice.paid", "id": "standard:msg_1:invoice.paid", "ts": 1_699_999_999_500},
        ),
        ("acme", ACME, {"name": "acme/order.created", "id": "acme:o-1:order.created", "ts": 1_699_999_999_000}),
    ],
)
async def test_exact_event(world: World, source: str, document: dict[str, Any], event: dict[str, Any]) -> None:
    """A request signed by the provider's library arrives as exactly the documented event, and no field more."""
    status, text = await world.send(source, dumps(document))
    assert status == 200
    if source == "slack":
        assert text == ""
    else:
        assert json.loads(text) == {"status": "accepted", "delivery": event["id"].split(":")[1]}
    [arrived] = await world.arrived(1)
    assert json.loads(arrived.raw) == {**event, "data": document}
    [history] = await world.settled(1)
    assert [(sent.id, sent.event_api_id) for sent in history.events] == [(event["id"], arrived.internal_id)]
    assert [(attempt.number, attempt.status, attempt.outcome) for attempt in history.attempts] == [(1, 200, "accepted")]


async def test_github_and_shopify(world: World) -> None:
    """Types that sit in headers make the names, with GitHub's action and Shopify's topic."""
    await world.send("github", dumps({"ref": "refs/heads/main"}))
    await world.send("shopify", dumps({"id": 1}))
    names = {event.name for event in await world.arrived(2)}
    assert names == {"github/push", "shopify/orders.create"}


async def test_slack_families(world: World) -> None:
    """Interactions and commands come as forms to the same URL, and make events of their own."""
    action = form(payload={"type": "block_actions", "api_app_id": "A1", "trigger_id": "1.2.x", "actions": []})
    command = form(command="/weather", text="payload", api_app_id="A1", trigger_id="1.3.y")
    for body in (action, command):
        assert await world.send("slack", body, ("content-type", FORM)) == (200, "")
    assert {event.name for event in await world.arrived(2)} == {"slack/block_action.triggered", "slack/command.invoked"}


async def test_slack_handshakes_make_no_delivery(world: World) -> None:
    """A challenge is echoed and a certificate probe answered empty; nothing is kept or forwarded."""
    assert await world.send("slack", dumps({"type": "url_verification", "challenge": "abc"})) == (200, "abc")
    assert await world.post("slack", [("Content-Type", FORM)], form(ssl_check="1", payload="{}")) == (200, "")
    assert await world.gateway.inbox.search(Query()) == []


async def test_same_request_a_hundred_times_at_once(world: World) -> None:
    """A hundred concurrent copies of one request make one event and a hundred 2xx."""
    body = dumps(STRIPE)
    headers = signed_headers("stripe", body, at=world.gateway.clock.wall())
    answers = await asyncio.gather(*[world.post("stripe", headers, body) for _ in range(100)])
    assert {status for status, _ in answers} == {200}
    verdicts = sorted(json.loads(text)["status"] for _, text in answers)
    assert verdicts == ["accepted"] + ["duplicate"] * 99
    [history] = await world.settled(1)
    assert history.duplicates == 99
    assert len(world.event_api.events) == 1


async def test_re_send_with_a_new_signature_is_absorbed(world: World) -> None:
    """A re-send, which providers sign afresh, is a duplicate, and the log says since when."""
    await world.send("stripe", dumps(STRIPE))
    with capture_logs() as lines:
        status, text = await world.send("stripe", dumps(STRIPE), at=world.gateway.clock.wall() - 5_000)
    assert (status, json.loads(text)["status"]) == (200, "duplicate")
    [line] = [line for line in lines if line["event"] == "request"]
    assert line["outcome"] == "duplicate"
    assert "first received" in line["detail"]


async def test_the_same_id_from_another_source_is_another_delivery(world: World) -> None:
    """Ids are unique within a source, so one source cannot block another."""
    await world.send("acme", dumps({"id": "evt_1", "type": "a"}))
    await world.send("stripe", BODIES["stripe"])
    assert len(await world.arrived(2)) == 2


async def test_gzip_body(world: World) -> None:
    """A compressed body is verified as it came and forwarded as what it holds."""
    wire = gzip.compress(dumps({"ref": "refs/heads/main"}))
    assert (await world.send("github", wire, ("content-encoding", "gzip")))[0] == 200
    [event] = await world.arrived(1)
    assert event.data == {"ref": "refs/heads/main"}


async def test_trailing_slash(world: World) -> None:
    """The URL works with a slash at its end, and is never redirected."""
    body = dumps(STRIPE)
    headers = signed_headers("stripe", body, at=world.gateway.clock.wall())
    assert (await world.post("stripe/", headers, body, allow_redirects=False))[0] == 200


async def test_transform_failure_is_a_dead_letter_and_replay_runs_it_again(idle_world: World) -> None:
    """What a transform cannot map is kept with the reason; mended and replayed, it is forwarded."""
    code = idle_world.folder / "my_transforms.py"
    code.write_text("def transform(delivery):\n    return {}['missing']\n")
    await idle_world.start('[sources.broken]\nprovider="hmac"\nverify="none"\ntransform="my_transforms:transform"\n')
    assert (await idle_world.post("broken", [], b'{"a": 1}'))[0] == 200
    await idle_world.send("stripe", dumps(STRIPE))
    [history] = await idle_world.settled(1, State.DEAD)
    assert "my_transforms:transform" in history.entry.reason
    assert "KeyError" in history.entry.reason
    assert history.entry.delivery.body == b'{"a": 1}'
    assert [event.name for event in await idle_world.arrived(1)] == ["stripe/customer.created"]


async def test_event_too_large_for_the_event_api_is_a_dead_letter(world: World) -> None:
    """An event over event_api.max_event_bytes is kept as a dead letter that names the limit, and stops nobody."""
    await world.send("github", dumps({"filler": "x" * 600_000}))
    await world.send("stripe", dumps(STRIPE))
    [history] = await world.settled(1, State.DEAD)
    assert "too_large" in history.entry.reason
    assert "max_event_bytes" in history.entry.reason
    assert len(await world.settled(1)) == 1


async def test_health(world: World) -> None:
    """The admin listener says that the process lives and may be given webhooks."""
    async with aiohttp.ClientSession() as session:
        for path in ("livez", "readyz"):
            async with session.get(f"http://127.0.0.1:{world.gateway.admin_port}/{path}") as response:
                assert (response.status, (await response.json())["status"]) == (200, "ok")


async def test_a_strangers_trace_is_not_adopted(world: World) -> None:
    """Every request gets a trace of its own, whatever its sender claims."""
    stranger = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await world.send("stripe", BODIES["stripe"], ("traceparent", stranger))
    [history] = await world.settled(1)
    assert len(history.entry.delivery.traceparent) == len(stranger)
    assert stranger.split("-")[1] not in history.entry.delivery.traceparent
