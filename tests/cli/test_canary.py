"""Known secrets, signatures and body fields go through everything that the gateway does, and come out nowhere."""

from __future__ import annotations

import asyncio
import functools
import io
import logging
import re
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest
import structlog

from gateway.dev.faults import Answer
from gateway.history import Query
from gateway.model import State
from gateway.telemetry import lines, logs
from tests.canaries import Canaries
from tests.cli.conftest import Cli
from tests.exposition import OPENMETRICS
from tests.signed import dumps, signed_headers
from tests.world import ENVIRON, PROVIDER_OF, World, running_world

SOURCES = ("stripe", "slack", "github", "shopify", "standard", "acme")
TOKEN = "canary-path-token-0123456789"
BODY = "canary-body-field"
MORE = """
[sources.door]
provider = "github"
secrets = ["${GITHUB_SECRET}"]
path_token = "${DOOR_TOKEN}"
[sources.fails]
provider = "github"
secrets = ["${GITHUB_SECRET}"]
transform = "./fails.py:transform"
[sources.lax]
provider = "github"
secrets = ["${GITHUB_SECRET}"]
enforce = false
body_limit_bytes = 4096
"""
FAILS = """
import asyncio, logging

class Odd(Exception):
    pass

async def lost(payload):
    raise Odd(payload["card"])

async def transform(delivery):
    payload = delivery.json()
    asyncio.get_running_loop().call_soon(int, payload["card"])
    match payload["how"]:
        case "value":
            return int(payload["card"])
        case "own":
            raise Odd(f"cannot map {payload['customer']} with {payload['card']!r}")
        case "group":
            raise ExceptionGroup("several", [Odd(payload["card"])])
        case "returns":
            return payload["card"]
"""


class Told:
    """Everything that the gateway told while it was driven, by where."""

    def __init__(self) -> None:
        self.canaries = Canaries([*ENVIRON.values(), TOKEN, BODY])
        self.texts: dict[str, str] = {}

    def note(self, where: str, text: str) -> None:
        """Keep what was told."""
        self.texts[where] = self.texts.get(where, "") + text

    def leaks(self) -> dict[str, list[str]]:
        """Return the canaries that came out, by where."""
        return {where: found for where, text in self.texts.items() if (found := self.canaries.found(text))}


def payload(number: int, **more: Any) -> bytes:
    """Make a body whose every value is a canary, ids and types apart."""
    facts = {
        "id": f"d-{number}",
        "type": "made",
        "event_id": f"Ev{number}",
        "api_app_id": "A1",
        "created": 1_700_000_000,
    }
    fields = {"card": f"{BODY}-{number}", "customer": {"email": f"{BODY}@example.com", "lines": [f"{BODY}\nx"]}}
    return dumps(facts | fields | more)


async def drive(world: World, told: Told) -> None:
    """Send what is accepted, absorbed and refused in every way."""

    async def post(source: str, headers: Any, body: bytes, query: str = "", method: str = "POST") -> None:
        told.canaries.add(
            *(value for name, value in headers if len(value) > 20 and re.search("sig|hmac", name.lower()))
        )
        told.canaries.add(*re.findall(r"[0-9a-f]{40,}", str(headers)))
        status, text, answered = await world.ask(method, source, headers, body, query)
        told.note(f"answer {status}", f"{text}{dict(answered)}")

    for number, source in enumerate((*SOURCES, "door", "lax", f"door/{TOKEN}"), 1):
        provider = PROVIDER_OF.get(source, source if source in SOURCES else "github")
        now, body = world.gateway.clock.wall(), payload(number)

        def sign(content: bytes, at: int = now, secret: str | None = None, provider: str = provider) -> Any:
            return [*signed_headers(provider, content, at=at, secret=secret), ("Authorization", f"Bearer {BODY}")]

        good, other = sign(body), sign(body, secret="whsec_" + "c2VjcmV0" * 4)
        for headers, content in (
            (good, body),
            (good, body),
            (good, body + b" "),
            (other, body),
            (sign(body, at=now - 9_000_000), body),
            (sign(body, at=now + 9_000_000), body),
            ([*good, *good], body),
            ([(name, value[:-3] + "é") for name, value in good], body),
            ([(name, "odd") for name, _ in good], body),
            ([], body),
            ([*good, ("Content-Encoding", "odd")], body),
            ([*good, ("Content-Encoding", "gzip")], body),
            (good, b"\xff" + body),
            (sign(b'{"' + BODY.encode()), b'{"' + BODY.encode()),
            (sign(body * 40), body * 40),
        ):
            await post(source, headers, content, f"?token={BODY}")
        await post(source, good, b"", f"?hub.challenge={BODY}&hub.verify_token={BODY}", "GET")
        await post(source, good, body, "", "PUT")
    await post(f"nobody/{TOKEN}", [], payload(0))


async def break_http(world: World, told: Told) -> None:
    """Send what is not HTTP, with secrets in it."""
    for text in (
        f"POST /webhooks/stripe HTTP/1.1\r\n{BODY}\r\n\r\n",
        f"{BODY}\r\n\r\n",
        f"GET /{BODY} HTTP/1.1\r\nHost: a\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", world.gateway.port)
        writer.write(text.encode())
        writer.write_eof()
        told.note("answer to no HTTP", (await reader.read()).decode())
        writer.close()


async def until_asked(world: World, count: int) -> None:
    """Wait until the event API got so many requests."""
    await world.event_api.until(lambda: len(world.event_api.requests) >= count)


async def fail(world: World) -> None:
    """Let transforms fail on what they are given, and the event API on what it is sent."""
    for number, how in enumerate(("value", "own", "group", "returns"), 900):
        body = payload(number, how=how)
        headers = [(n, v.replace("72d3162e", f"{number:08d}")) for n, v in signed_headers("github", body)]
        await world.post("fails", headers, body)
    await world.settled(4, State.DEAD)
    for number, status in enumerate((400, 503, 200, 413), 77):
        world.event_api.behave = functools.partial(quote_what_was_sent, status)
        most = len(world.event_api.requests)
        await world.send("acme", payload(number))
        await world.gateway.reload(world.gateway.config)  # which ends a back-off
        await until_asked(world, most + 1)
    world.event_api.behave = None


def quote_what_was_sent(status: int, _number: int, body: bytes) -> Answer:
    """Answer with the event key and a value of the events, which the event API is free to do."""
    [value, *_] = re.findall(rb"canary-body-field-\d+", body)
    error = f'invalid value "{value.decode()}" of {ENVIRON["INNGEST_EVENT_KEY"]}'
    return Answer(status, body=dumps({"error": error, "status": status}))


async def ask_admin(world: World, told: Told) -> None:
    """Ask the admin listener for all that it tells."""
    base = f"http://127.0.0.1:{world.gateway.admin_port}"
    await world.gateway.gauges.look()
    async with aiohttp.ClientSession() as session:
        for path in ("/livez", "/readyz", "/metrics", "/nothing", "/v1/replay?state=dead", "/v1/replay?state=odd"):
            for accept in ("*/*", OPENMETRICS):
                async with session.get(base + path, headers={"Accept": accept}) as answer:
                    told.note(f"admin {path}", f"{await answer.text()}{dict(answer.headers)}")


async def ask_commands(cli: Cli, world: World, told: Told) -> None:
    """Call every command that shows what is configured and stored."""
    entries = await world.gateway.inbox.search(Query(limit=100))
    ids = [entry.entry.delivery.id for entry in entries if entry.entry.state in {State.DEAD, State.FORWARDED}]
    calls = [["sources"], ["deliveries"], ["events"], ["check"], ["replay", "--state", "dead", "--dry-run"]]
    calls += [["show", name] for name in ids[:3]] + [["doctor", source] for source in ("stripe", "door", "lax")]
    calls += [["show", "no-such-id"], ["sources", "--config", "missing.toml"], ["try", "stripe", "missing.json"]]
    for call in calls:
        for form in ([], ["--json"]):
            result = await asyncio.to_thread(cli, *call, *form)
            told.note(" ".join(call[:2]), result.out + result.err)


@pytest.mark.parametrize("form", ["json", "console"])
async def test_secrets_and_bodies_come_out_nowhere(
    cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch, form: Literal["json", "console"]
) -> None:
    """Neither log nor metrics, answers, admin pages and commands show a secret, a signature or a value of a body."""
    told, out = Told(), io.StringIO()
    monkeypatch.setenv("DOOR_TOKEN", TOKEN)
    (folder / "fails.py").write_text(FAILS)
    async with running_world(folder) as world:
        logs.configure(form, "debug", out)
        await world.start(MORE, DOOR_TOKEN=TOKEN)
        await drive(world, told)
        await break_http(world, told)
        await fail(world)
        await ask_admin(world, told)
        await ask_commands(cli, world, told)
        await world.stop()
        await world.start(MORE, DOOR_TOKEN=TOKEN, INNGEST_EVENT_KEY="canary-wrong-key")
        told.canaries.add("canary-wrong-key")
        await world.send("stripe", payload(500))
        async with asyncio.timeout(10):
            while world.gateway.lane_state != "paused":  # noqa: ASYNC110 - nothing is told of it
                await asyncio.sleep(0.02)
        await ask_admin(world, told)
    lines.finish(5)
    told.note("log", out.getvalue())
    assert told.leaks() == {}
    text = told.texts["log"]
    for event in ("request", "attempt", "dead_letter", "forwarding_paused", "library"):
        assert event in text
    assert {"answer 200", "answer 401", "answer 404", "answer 405"} <= told.texts.keys()
    assert len(told.texts) > 20


@pytest.fixture(autouse=True)
def log_as_before() -> Any:
    """Put the log back as it was."""
    yield
    structlog.reset_defaults()
    root = logging.getLogger()
    for handler in [each for each in root.handlers if type(each).__module__ == "gateway.telemetry.libraries"]:
        root.removeHandler(handler)
