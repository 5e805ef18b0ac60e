"""What providers are told over HTTP: their own successes, faults of ours as they take them, and re-sends."""

import json

import aiohttp
import pytest
from structlog.testing import capture_logs

from gateway.history import Query
from tests.signed import BODIES, signed_headers
from tests.world import World

TOKEN = "a-token-of-thirty-two-characters"
MORE = """
[sources.brevo]
provider = "brevo"
secrets = ["${BREVO}"]
[sources.quiet]
provider = "brevo"
secrets = ["${QUIET}"]
dedupe_window_days = 40
answer = {status = 202, body = "<ok/>", type = "application/xml"}
"""


async def test_a_source_has_its_own_success(idle_world: World) -> None:
    """What is kept, and its re-send, are answered with the status, body and type of the source."""
    await idle_world.start(MORE, BREVO=TOKEN, QUIET=TOKEN)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {TOKEN}"}) as session:
        for _ in range(2):
            response = await session.post(idle_world.url("quiet"), data=b'{"event":"sent"}')
            assert (response.status, await response.read()) == (202, b"<ok/>")
            assert response.headers["Content-Type"] == "application/xml"
    assert (await idle_world.gateway.inbox.counts()).duplicates == {"quiet": 1}
    await idle_world.stop()


@pytest.mark.parametrize(("source", "status"), [("brevo", 429), ("acme", 503)])
async def test_a_fault_of_ours(idle_world: World, source: str, status: int) -> None:
    """While nothing can be kept each provider gets a status on which it comes again, and the log tells the same."""
    await idle_world.start(MORE, BREVO=TOKEN, QUIET=TOKEN)
    await idle_world.gateway.inbox.close()
    headers = dict(signed_headers("hmac", BODIES["hmac"], at=idle_world.gateway.clock.wall()))
    headers["Authorization"] = f"Bearer {TOKEN}"
    with capture_logs() as lines:
        async with aiohttp.ClientSession() as session:
            response = await session.post(idle_world.url(source), data=BODIES["hmac"], headers=headers)
            document = json.loads(await response.read())
    assert (response.status, response.headers["Retry-After"]) == (status, "5")
    assert document == {"status": "unavailable", "reason": "inbox_unavailable"}
    assert [line["status"] for line in lines if line["event"] == "request"] == [status]
    await idle_world.stop()


@pytest.mark.parametrize("source", ["github", "shopify"])
async def test_signed_bytes_under_another_id(world: World, source: str) -> None:
    """A recorded request that is sent again with a new delivery id is absorbed, and the log tells what it repeats."""
    names = {"github": ("x-github-delivery",), "shopify": ("x-shopify-event-id", "x-shopify-webhook-id")}[source]
    assert (await world.send(source, BODIES[source]))[0] == 200
    headers = dict(signed_headers(source, BODIES[source])) | dict.fromkeys(
        names, "11111111-0000-4000-8000-000000000000"
    )
    with capture_logs() as lines:
        status, text = await world.post(source, headers.items(), BODIES[source])
    assert (status, json.loads(text)["status"]) == (200, "duplicate")
    [line] = [line for line in lines if line["event"] == "request"]
    [kept] = await world.gateway.inbox.search(Query())
    assert line["detail"].startswith("absorbed: the same signed bytes under another id; first received ")
    assert f"gateway replay {kept.entry.delivery.id} " in line["detail"]
    assert len(await world.arrived(1)) == 1
    assert (await world.gateway.inbox.counts()).duplicates == {source: 1}


async def test_an_id_to_come_cannot_be_taken(world: World) -> None:
    """Old signed bytes under the id of a delivery to come do not keep that delivery out."""
    old, new = b'{"ref":"refs/heads/old"}', b'{"ref":"refs/heads/new"}'
    answers = []
    for name, body in (("1", old), ("2", old), ("2", new)):
        headers = dict(signed_headers("github", body)) | {"x-github-delivery": name}
        answers.append(await world.post("github", headers.items(), body))
    assert [json.loads(text)["status"] for _, text in answers] == ["accepted", "duplicate", "accepted"]
