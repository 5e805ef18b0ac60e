"""Spans, as a collector gets them: the tree of one delivery, links, what is always traced, and collectors that fail."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from gateway.app import Gateway
from gateway.dev.faults import Answer
from gateway.errors import ConfigError
from gateway.model import State
from gateway.telemetry import span_names as names
from tests.otlp_receiver import OtlpReceiver, Seen
from tests.process import Process, post
from tests.signed import SECRETS, signed_headers
from tests.world import EVENT_KEY, World, running_world

STRIPE = {"id": "evt_1", "object": "event", "type": "invoice.paid", "created": 1_700_000_000, "data": {}}


@pytest.fixture
async def collector(monkeypatch: pytest.MonkeyPatch, written: list[str]) -> AsyncIterator[OtlpReceiver]:
    """Give a collector, which the environment names; no secret may come to it."""
    made = OtlpReceiver()
    await made.start()
    for name, text in environ_of(made).items():
        monkeypatch.setenv(name, text)
    yield made
    await made.stop()
    written += [body.decode("utf-8", "replace") for body in made.raw]


def environ_of(collector: OtlpReceiver, ratio: str = "1.0") -> dict[str, str]:
    """Return the variables of a collector, and of a sender that does not wait for long."""
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "20",
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": ratio,
    }


async def start(world: World, collector: OtlpReceiver, more: str = "", *, ratio: str = "1.0") -> None:
    """Start the gateway with the variables of a collector."""
    world.gateway = Gateway(world.config(more, **environ_of(collector, ratio)))
    await world.gateway.start()


def stripe(name: str) -> bytes:
    """Return an event of Stripe."""
    return json.dumps({**STRIPE, "id": name}).encode()


def told(span: Seen, *keys: str) -> dict[str, object]:
    """Return some of a span's attributes."""
    return {key: span.attributes[key] for key in keys}


async def test_one_delivery_through_a_retry(collector: OtlpReceiver, idle_world: World) -> None:
    """A request is the root of its trace; each attempt is a root that is linked to it and to the attempt before."""
    world = idle_world
    world.event_api.answer_next(Answer(503))
    await start(world, collector)
    assert (await world.send("stripe", stripe("evt_1")))[0] == 200
    await world.arrived(1)
    await collector.until(lambda: len(collector.named(names.ATTEMPT_SPAN)) == 2)
    assert {span.name for span in collector.spans} == {names.REQUEST_SPAN, names.ATTEMPT_SPAN}
    [request], [first, second] = collector.named(names.REQUEST_SPAN), collector.named(names.ATTEMPT_SPAN)
    assert (request.kind, request.parent, request.links, request.error) == ("SERVER", "", {}, "")
    assert request.events == list(names.STEPS)
    assert request.attributes == {
        "http.request.method": "POST",
        "http.route": "/webhooks/{source}",
        "http.response.status_code": 200,
        "http.request.body.size": len(stripe("evt_1")),
        "url.scheme": "http",
        "url.path": "/webhooks/stripe",
        "gateway.source": "stripe",
        "gateway.outcome": "accepted",
        "gateway.delivery.id": "evt_1",
        "gateway.delivery.type": "invoice.paid",
        "gateway.secret": request.attributes["gateway.secret"],
    }
    to_delivery = {request.id: {"gateway.link": "delivery", "messaging.message.id": "evt_1"}}
    assert (first.kind, first.parent, first.links) == ("CLIENT", "", to_delivery)
    assert second.links == {first.id: {"gateway.link": "previous attempt"}, **to_delivery}
    assert len({request.trace, first.trace, second.trace}) == 3
    assert (first.error, second.error) == ("event_api_failed", "")
    keys = ("http.response.status_code", "gateway.attempt", "gateway.outcome", "gateway.events.accepted")
    assert list(told(first, *keys).values()) == [503, 1, "event_api_failed", 0]
    assert list(told(second, *keys).values()) == [200, 2, "accepted", 1]
    assert second.attributes["url.full"] == f"{world.event_api.url}/e/REDACTED"
    assert request.start <= request.end <= first.start <= first.end <= second.start <= second.end
    assert request.resource["service.name"] == "webhook-event-gateway"
    [entry] = await world.settled(1)
    assert entry.entry.delivery.traceparent == f"00-{request.id}-01"
    sent = [record.header("traceparent") for record in world.event_api.requests]
    assert sent == [f"00-{first.id}-01", f"00-{second.id}-01"]


async def test_links_beyond_what_one_span_has_room_for(collector: OtlpReceiver, idle_world: World) -> None:
    """A batch of many sampled deliveries is linked to all of them, and a retry to the attempt before as well."""
    world = idle_world
    world.event_api.answer_next(Answer(401))
    await start(world, collector)
    assert (await world.send("stripe", stripe("evt_first")))[0] == 200
    await collector.until(lambda: len(collector.named(names.ATTEMPT_SPAN)) == 1)  # which pauses the lane
    statuses = await asyncio.gather(*[world.send("stripe", stripe(f"evt_{n}")) for n in range(255)])
    assert {status for status, _ in statuses} == {200}
    await world.gateway.reload(world.read_config(**environ_of(collector)))
    await world.arrived(256)
    await world.stop()  # which exports what waits
    attempts = collector.named(names.ATTEMPT_SPAN)
    assert [span.attributes["gateway.batch.entries"] for span in attempts] == [1, 1, 255]
    assert attempts[1].links.keys() > {attempts[0].id}
    large, more = attempts[2], collector.named(names.LINKS_SPAN)
    assert [(span.parent, span.kind) for span in more] == [(large.id, "INTERNAL")]
    assert [len(span.links) for span in (large, *more)] == [128, 127]
    requests = {span.id: span.attributes["gateway.delivery.id"] for span in collector.named(names.REQUEST_SPAN)}
    linked = {link: note["messaging.message.id"] for span in (large, *more) for link, note in span.links.items()}
    assert linked.items() == {(key, name) for key, name in requests.items() if name != "evt_first"}


async def test_what_is_traced_whatever_the_ratio(collector: OtlpReceiver, idle_world: World) -> None:
    """Refusals and dead letters are traced where nothing is sampled, and what goes well is not."""
    world = idle_world
    (world.folder / "raises.py").write_text("def transform(delivery):\n    raise ValueError('no')\n")
    more = (
        '[sources.broken]\nprovider = "stripe"\nsecrets = ["${STRIPE_WEBHOOK_SECRET}"]\n'
        'transform = "./raises.py:transform"\n'
    )
    await start(world, collector, more, ratio="0.0")
    assert (await world.send("stripe", stripe("evt_fine")))[0] == 200
    assert (await world.post("stripe", [("Stripe-Signature", "t=1,v1=00")], b"{}"))[0] == 401
    assert (await world.post("nobody", [], b"{}"))[0] == 404
    body = stripe("evt_dead")
    assert (await world.post("broken", signed_headers("stripe", body, at=world.gateway.clock.wall()), body))[0] == 200
    await world.settled(1, State.DEAD)
    await world.arrived(1)
    await collector.until(lambda: bool(collector.named(names.DEAD_LETTER_SPAN)))
    await world.stop()
    assert collector.named(names.STRAY_SPAN) == []
    refused = collector.named(names.REQUEST_SPAN)
    assert [told(span, "gateway.source", "gateway.outcome") for span in refused] == [
        {"gateway.source": "stripe", "gateway.outcome": "rejected"},
        {"gateway.source": "unknown", "gateway.outcome": "rejected"},
    ]
    assert [span.attributes["gateway.reason"] for span in refused] == ["timestamp_malformed", "unknown_source"]
    assert [span.error for span in refused] == ["", ""]  # a client's mistake is no error of a server
    [dead] = collector.named(names.DEAD_LETTER_SPAN)
    assert (dead.kind, dead.parent, dead.error) == ("INTERNAL", "", "transform_failed")
    assert told(dead, "gateway.delivery.id", "gateway.source") == {
        "gateway.delivery.id": "evt_dead",
        "gateway.source": "broken",
    }
    assert {span.name for span in collector.spans} == {names.REQUEST_SPAN, names.DEAD_LETTER_SPAN}


CLAIMED = "00-" + "ab" * 16 + "-" + "cd" * 8 + "-01"


@pytest.mark.parametrize("trusted", [True, False])
async def test_trace_of_the_sender(collector: OtlpReceiver, idle_world: World, *, trusted: bool) -> None:
    """A stranger's trace is never gone on with; where the source says so, it is linked to."""
    world = idle_world
    more = (
        '[sources.ours]\nprovider = "stripe"\nsecrets = ["${STRIPE_WEBHOOK_SECRET}"]\n'
        f"trust_traceparent = {str(trusted).lower()}\n"
    )
    await start(world, collector, more)
    body = stripe("evt_1")
    headers = signed_headers("stripe", body, at=world.gateway.clock.wall())
    assert (await world.post("ours", [*headers, ("traceparent", CLAIMED)], body))[0] == 200
    await collector.until(lambda: bool(collector.named(names.REQUEST_SPAN)))
    [request] = collector.named(names.REQUEST_SPAN)
    assert (request.trace != "ab" * 16, request.parent) == (True, "")
    assert request.links == ({f"{'ab' * 16}-{'cd' * 8}": {"gateway.link": "sender"}} if trusted else {})


async def test_variable_that_the_library_refuses(
    collector: OtlpReceiver, idle_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of those that the library reads itself is told as a fault of the configuration, when the gateway starts."""
    monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "99999")
    with pytest.raises(ConfigError, match="OpenTelemetry's variables: max_export_batch_size must be"):
        await start(idle_world, collector)


@pytest.mark.parametrize("kind", ["refused", "silent"])
async def test_collector_that_takes_nothing(tmp_path: Path, kind: str) -> None:
    """Every webhook is answered, and the exit is delayed by three seconds at most, metrics included."""
    silent = OtlpReceiver(silent=True)
    await silent.start()
    with socket.create_server(("127.0.0.1", 0)) as unused:
        free = unused.getsockname()[1]
    url = silent.url if kind == "silent" else f"http://127.0.0.1:{free}"
    async with running_world(tmp_path) as world, aiohttp.ClientSession() as session:
        path = world.write_config()
        path.write_text(path.read_text().replace("[server]", "[server]\ndrain_seconds = 0"))
        process = Process(path, **{**environ_of(silent), "OTEL_EXPORTER_OTLP_ENDPOINT": url})
        await process.start()
        statuses = [await post(session, process.port, f"d{n}") for n in range(50)]
        await world.arrived(50)
        if kind == "silent":
            await silent.until(lambda: bool(silent.raw))
        begun = time.monotonic()
        assert await process.stop() == 0
        seconds = time.monotonic() - begun
    await silent.stop()
    assert statuses == [200] * 50
    assert seconds < 3.0 + 3.0  # the collector, and a machine that is busy


async def test_no_span_tells_a_secret(collector: OtlpReceiver, idle_world: World) -> None:
    """Whatever goes wrong, no secret, key, signature, header, query, address or field of a body is exported."""
    world = idle_world
    (world.folder / "raises.py").write_text(
        "def transform(delivery):\n    raise ValueError(delivery.json()['canary'])\n"
    )
    more = (
        '[sources.guarded]\nprovider = "stripe"\nsecrets = ["${STRIPE_WEBHOOK_SECRET}"]\n'
        'path_token = "${GITHUB_SECRET_TOKEN}"\ntransform = "./raises.py:transform"\n'
    )
    token, wrong = "canary-path-token-of-32-characters", "whsec_canary"
    world.event_api.answer_next(Answer(503), Answer(401))
    world.gateway = Gateway(world.config(more, **{**environ_of(collector), "GITHUB_SECRET_TOKEN": token}))
    await world.gateway.start()
    body = json.dumps({**STRIPE, "canary": "canary-field"}).encode()
    at = world.gateway.clock.wall()
    signed, forged = (
        [*signed_headers("stripe", body, secret=secret, at=at), ("X-Canary", "canary-header")]
        for secret in (None, wrong)
    )
    path = f"guarded/{token}?q=canary-query"
    statuses = [
        (await world.post(where, headers, body))[0]
        for where, headers in ((path, signed), (path, forged), ("guarded/canary-token", signed), ("stripe", signed))
    ]
    assert statuses == [200, 401, 404, 200]
    await world.settled(1, State.DEAD)
    await collector.until(lambda: len(collector.named(names.ATTEMPT_SPAN)) >= 2)
    await world.stop()
    told = b"".join(collector.raw)
    assert b"evt_1" in told
    signatures = [value for headers in (signed, forged) for name, value in headers if name == "stripe-signature"]
    digests = [part.partition("=")[2] for text in signatures for part in text.split(",")]
    canaries = ["canary", EVENT_KEY, token, wrong, *SECRETS.values(), *digests]
    assert [text for text in canaries if text.encode() in told] == []
