"""Looking on the admin listener: every answer is what the OpenAPI document says, and tells what happened."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from structlog.testing import capture_logs
from yarl import URL

from gateway import refusals
from gateway.admin import openapi
from gateway.feed import OUTCOMES
from gateway.model import State
from tests.signed import dumps
from tests.world import World, running_world

FILE = Path(__file__).parent.parent / "docs" / "openapi.json"
BROKEN = "def transform(delivery):\n    raise KeyError('plan')\n"
ODD = """
[sources.odd]
provider = "hmac"
verify = "none"
transform = "./acme_odd.py:transform"
delivery.id = "json:/id"
"""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Give a world with a forwarded delivery that was sent twice, a dead letter, and a rejected request."""
    (tmp_path / "acme_odd.py").write_text(BROKEN)
    with capture_logs():
        async with running_world(tmp_path) as made:
            await made.start(ODD)
            for _ in range(2):
                assert (await made.send("stripe", event("evt_1")))[0] == 200
            assert (await made.post("odd", [("Content-Type", "application/json")], dumps({"id": "a/../b c"})))[0] == 200
            assert (await made.post("github", [("X-Hub-Signature-256", f"sha256={'0' * 64}")], b"{}"))[0] == 401
            await made.settled(1)
            await made.settled(1, State.DEAD)
            yield made


def event(name: str) -> bytes:
    """Return a Stripe event."""
    return dumps({"id": name, "object": "event", "type": "invoice.paid", "created": 1_700_000_000, "data": {}})


async def ask(world: World, path: str) -> tuple[int, Any]:
    """Ask for a path; hold the answer against the schema that the OpenAPI document has for it."""
    origin = f"http://127.0.0.1:{world.gateway.admin_port}"
    async with aiohttp.ClientSession() as session, session.get(URL(origin + path, encoded=True)) as response:
        status, document = response.status, json.loads(await response.text())
    described = openapi.document()
    template = path.partition("?")[0]
    template = "/v1/deliveries/{id}" if template.startswith("/v1/deliveries/") else template
    content = described["paths"][template]["get"]["responses"][str(status)]["content"]
    schema = {**content["application/json"]["schema"], "components": described["components"]}
    Draft202012Validator(schema).validate(document)
    return status, document


def test_the_openapi_document_is_one() -> None:
    """The document is valid OpenAPI 3.1, and the file in docs is the one that is served; `make openapi` writes it."""
    document = json.loads(json.dumps(openapi.document()))
    OpenAPIV31SpecValidator(document).validate()
    assert json.loads(FILE.read_text()) == document


async def test_every_path_answers_as_described(world: World) -> None:
    """Every path that can be read is there, and its answer is what its schema says."""
    described = openapi.document()["paths"]
    other = {"/metrics", "/v1/tail"}
    paths = [path for path, operations in described.items() if "get" in operations and path not in other]
    for path in paths:
        more = "?state=dead" if path == "/v1/replay" else ""
        status, document = await ask(world, path.replace("{id}", "evt_1") + more)
        assert status == 200, path
    assert (path, document) == ("/v1/openapi.json", openapi.document())


async def test_faults_are_described(world: World) -> None:
    """What is asked wrongly is answered with a label and a sentence that names the fault."""
    for path, named in [
        ("/v1/deliveries?state=odd", "state"),
        ("/v1/deliveries?limit=0", "limit"),
        ("/v1/deliveries?limit=1001", "limit"),
        ("/v1/deliveries?before=yesterday", "before"),
        ("/v1/deliveries?before=1", "before"),
        (f"/v1/deliveries?before=1.{'9' * 30}", "before"),
        ("/v1/deliveries?since=1&since=2", "twice"),
        ("/v1/deliveries?sources=acme", "'sources'"),
        ("/v1/stats?seconds=0", "seconds"),
        ("/v1/stats?seconds=3601", "seconds"),
        ("/v1/stats?minutes=1", "'minutes'"),
        ("/v1/sources?reveal=1", "'reveal'"),
        ("/v1/tail?outcome=odd", "'odd'"),
        ("/v1/tail?state=dead", "'state'"),
    ]:
        status, document = await ask(world, path)
        assert (status, document["error"]) == (400, "request_invalid"), path
        assert named in document["detail"], path


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ("", ["a/../b c", "evt_1"]),
        ("state=forwarded", ["evt_1"]),
        ("state=dead&reason=KeyError", ["a/../b c"]),
        ("state=dead&reason=TypeError", []),
        ("source=stripe&type=invoice.paid", ["evt_1"]),
        ("id=stripe:evt_1:invoice.paid", ["evt_1"]),
        ("until=1", []),
        ("after=1", ["a/../b c"]),
        ("limit=1", ["a/../b c"]),
    ],
)
async def test_search(world: World, filters: str, expected: list[str]) -> None:
    """Each filter narrows what is found, newest first."""
    _, document = await ask(world, f"/v1/deliveries?{filters}")
    assert [found["delivery_id"] for found in document["deliveries"]] == expected


async def test_pages(world: World) -> None:
    """A page tells where the next one begins, and the last one tells of none."""
    _, first = await ask(world, "/v1/deliveries?limit=1")
    _, second = await ask(world, f"/v1/deliveries?limit=1&before={first['next']}")
    assert [page["deliveries"][0]["delivery_id"] for page in (first, second)] == ["a/../b c", "evt_1"]
    assert second["next"] is None


async def test_the_life_of_a_delivery(world: World) -> None:
    """A delivery is found by every id of it, with all that is known of it; what is not there is 404."""
    _, document = await ask(world, "/v1/deliveries/evt_1")
    [life] = document["deliveries"]
    assert life["secret"] == "STRIPE_WEBHOOK_SECRET"
    assert life["transform"]["reference"] == "transforms.stripe:transform"
    assert 0 < life["transform"]["ms"] < 10_000
    assert life["duplicates"] == 1
    assert life["last_duplicate_at"] >= life["received_at"]
    assert [(attempt["number"], attempt["status"]) for attempt in life["attempts"]] == [(1, 200)]
    [sent] = life["events"]
    for identifier in (sent["id"], sent["event_api_id"], life["trace_id"]):
        assert await ask(world, f"/v1/deliveries/{identifier}") == (200, document)
    _, odd = await ask(world, "/v1/deliveries/a%2F..%2Fb%20c")
    [dead] = odd["deliveries"]
    assert (dead["delivery_id"], dead["state"]) == ("a/../b c", "dead")
    assert "raised KeyError: 'plan'" in dead["reason"]
    assert await ask(world, "/v1/deliveries/nobody") == (404, {**document, "deliveries": []})


async def test_sources(world: World) -> None:
    """A source tells its URL, its counts, what was rejected, and how long its provider waits."""
    for _ in range(500):
        _, document = await ask(world, "/v1/sources")
        told = {row["source"]: row for row in document["sources"]}
        if told["github"]["rejections"]:
            break
        await asyncio.sleep(0.01)
    assert list(told) == list(world.gateway.config.sources)
    stripe, github = told["stripe"], told["github"]
    assert stripe["url"] == world.url("stripe")
    assert (stripe["forwarded"], stripe["duplicates"], stripe["refusing"], stripe["give_up"]) == (1, 1, None, None)
    assert [(row["reason"], row["count"]) for row in github["rejections"]] == [("signature_mismatch", 1)]
    assert (github["refusing"]["count"], github["refusing"]["status"]) == (1, 401)
    assert github["give_up"]["seconds"] == 0
    assert github["give_up"]["drops_at"] == github["refusing"]["since"]
    assert "it is not sent again" in github["give_up"]["sentence"]


async def test_the_clock_stops_with_the_next_success(world: World) -> None:
    """A clock is a metric and outlives a restart; a delivery that is accepted ends it, a stranger begins none."""
    assert 'gateway_give_up_seconds{source="github"} 0.0' in await metrics(world)
    await world.stop()
    assert set(refusals.load(refusals.path_of(world.folder / "inbox.db"))) == {"github"}
    await world.start(ODD)
    assert 'gateway_give_up_seconds{source="github"} 0.0' in await metrics(world)
    await world.send("github", b"{}", ("X-GitHub-Delivery", "1"), ("X-GitHub-Event", "ping"))
    await world.post("stripe", [], b"{}")
    assert "gateway_give_up_seconds{" not in await metrics(world)


async def metrics(world: World) -> str:
    """Return what is exposed."""
    url = f"http://127.0.0.1:{world.gateway.admin_port}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        return await response.text()


async def test_metrics_as_openmetrics(world: World) -> None:
    """A scraper that asks for OpenMetrics gets it."""
    url = f"http://127.0.0.1:{world.gateway.admin_port}/metrics"
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with aiohttp.ClientSession() as session, session.get(url, headers=accept) as response:
        assert response.content_type == "application/openmetrics-text"
        assert (await response.text()).endswith("# EOF\n")
    async with aiohttp.ClientSession() as session, session.get(url, headers={"Host": "example.com"}) as response:
        assert response.status == 403


async def test_stats(world: World) -> None:
    """Rates, percentiles and backlog are those of what went through."""
    _, document = await ask(world, "/v1/stats?seconds=600")
    assert document["received_per_second"] == pytest.approx(2 / 600)
    assert document["settled_per_second"] == pytest.approx({"forwarded": 1 / 600, "dead": 1 / 600})
    assert document["by_source"] == pytest.approx({"odd": 1 / 600, "stripe": 1 / 600})
    assert document["end_to_end_ms"]["p50"] == document["end_to_end_ms"]["max"] > 0
    assert document["backlog"] == {}
    assert document["forwarding"] == {"state": "healthy", "reason": "", "resume_at": None}


async def test_what_waits_is_told_with_why(world: World) -> None:
    """While forwarding is paused the backlog grows, and each delivery tells when and why it is tried next."""
    world.event_api.keys = {"another"}
    await world.send("stripe", event("evt_2"))
    for _ in range(200):
        _, document = await ask(world, "/v1/deliveries/evt_2")
        [life] = document["deliveries"]
        if life["attempts"] and life["state"] == "pending":
            break
    assert life["attempts"][0]["status"] == 401
    assert life["due_at"] is not None
    assert document["forwarding"]["state"] == "paused"
    assert document["forwarding"]["resume_at"] > life["received_at"]
    _, told = await ask(world, "/v1/stats")
    assert told["backlog"] == {"stripe": {"waiting": 1, "oldest_at": life["received_at"]}}
    _, counted = await ask(world, "/v1/counts")
    assert counted["by_source"]["stripe"] == {"pending": 1, "forwarded": 1}


async def test_what_happens_is_told_as_described(world: World) -> None:
    """Who follows is told each thing on a line of its own, as its schema says, and that all is quiet before."""
    described = openapi.document()
    schema = {"$ref": "#/components/schemas/HappeningDocument", "components": described["components"]}
    url = f"http://127.0.0.1:{world.gateway.admin_port}/v1/tail?outcome=accepted&outcome=forwarded"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.content_type == "application/x-ndjson"
        assert await response.content.readline() == b"\n"
        await world.send("stripe", event("evt_2"))
        told = [json.loads(await response.content.readline()) for _ in range(2)]
    for one in told:
        Draft202012Validator(schema).validate(one)
    assert [(one["delivery_id"], one["outcome"]) for one in told] == [("evt_2", "accepted"), ("evt_2", "forwarded")]


def test_every_path_is_documented() -> None:
    """docs/admin.md names every path and every outcome that can be followed."""
    page = (FILE.parent / "admin.md").read_text()
    assert [path for path in openapi.document()["paths"] if f"`{path}`" not in page] == []
    assert [outcome for outcome in OUTCOMES if f"`{outcome}`" not in page] == []
