"""Every way in which senders test a URL, over HTTP: the answer they wait for, and no delivery."""

import base64
import hashlib
import hmac
import json
from typing import Any
from urllib.parse import quote

import pytest
from structlog.testing import capture_logs

from gateway.app import Gateway
from gateway.clock import Clock
from gateway.history import Query
from tests.manual_clock import ManualClock
from tests.world import World

KEY = "a secret of this sender alone"
ENVIRON = {"SHAKEN_SECRET": KEY, "VERIFY_TOKEN": "a verify token of this sender"}
JSON = ("content-type", "application/json")
FORM = ("content-type", "application/x-www-form-urlencoded")
SOURCE = """
[sources.shaken]
provider = "hmac"
secrets = ["${SHAKEN_SECRET}"]
[sources.shaken.params]
verify_token = "${VERIFY_TOKEN}"
[sources.shaken.signature]
header = "X-Sig"
[sources.shaken.delivery]
id = "json:/id"
[[sources.shaken.handshake]]
"""
HUB = """kind = "hub_challenge"
method = "GET"
when = { "query:hub.mode" = "subscribe" }
signed = false
token = "query:hub.challenge"
require = [["{query:hub.verify_token}", "{param:verify_token}"]]
"""
GRAPH = """kind = "validation_token"
signed = false
token = "query:validationToken"
token_pattern = "[A-Za-z0-9 :;,._~+/=-]{1,512}"
body = "{token}"
"""
SLACK = """kind = "url_verification"
when = { "json:/type" = "url_verification" }
token = "json:/challenge"
body = "{token}"
"""
HOOK_SECRET = """kind = "hook_secret"
signed = false
token = "header:X-Hook-Secret"
headers = { "X-Hook-Secret" = "{token}" }
learn = true
"""
VALIDATION_TOKEN = """kind = "validation_token"
empty_body = true
signed = false
token = "header:Validation-Token"
headers = { "Validation-Token" = "{token}" }
"""
FRONT = """kind = "front_challenge"
token = "header:X-Front-Challenge"
json = { challenge = "{token}" }
"""
CRC = """kind = "crc"
method = "GET"
signed = false
token = "query:crc_token"
json = { response_token = "{mac}" }
mac = { encoding = "base64", prefix = "sha256=" }
"""
ZOOM = """kind = "url_validation"
when = { "json:/event" = "endpoint.url_validation" }
token = "json:/payload/plainToken"
json = { plainToken = "{token}", encryptedToken = "{mac}", codes = ["{token}", 1] }
[sources.shaken.handshake.mac]
"""
EBAY = """kind = "challenge_code"
method = "GET"
signed = false
token = "query:challenge_code"
json = { challengeResponse = "{mac}" }
mac = { method = "hash", signed = "{token}{param:verify_token}{url_base}" }
"""
DISCORD = """kind = "ping"
when = { "json:/type" = "1" }
json = { type = 1 }
"""
FITBIT = """kind = "verify"
method = "GET"
when = { "query:verify" = "" }
signed = false
require = [["{query:verify}", "{param:verify_token}"]]
status = 204
otherwise_status = 404
"""
CONSTANT = """kind = "zift"
when = { "json:/test" = "true" }
type = "text/xml"
body = "<ok/>"
headers = { "X-Verify" = "{param:verify_token}" }
"""
HEAD = """kind = "head"
method = "HEAD"
signed = false
"""
EMPTY = """kind = "empty"
empty_body = true
signed = false
"""
PING = """kind = "form_ping"
when = { "form:webhook_id" = "" }
signed = false
"""


def mac(message: str, algorithm: str = "sha256") -> bytes:
    """Return the HMAC that the sender computes."""
    return hmac.digest(KEY.encode(), message.encode(), algorithm)


def post(document: Any, *more: tuple[str, str], sign: bool = True) -> tuple[str, list[tuple[str, str]], bytes, str]:
    """Return a JSON request as the sender posts it."""
    body = json.dumps(document).encode()
    signature = [("x-sig", mac(body.decode()).hex())] if sign else []
    return "POST", [JSON, *signature, *more], body, ""


def get(query: str, *headers: tuple[str, str], method: str = "GET") -> tuple[str, list[tuple[str, str]], bytes, str]:
    """Return a request without a body."""
    return method, list(headers), b"", query


async def start(world: World, handshake: str, clock: Clock | None = None) -> None:
    """Start a gateway that has a public URL and a source that shakes hands so."""
    path = world.write_config(SOURCE + handshake)
    public_url = 'public_url = "https://hooks.example.com"'
    path.write_text(path.read_text().replace("[server]", f"[server]\n{public_url}"))
    world.gateway = Gateway(world.read_config(**ENVIRON), clock=clock)
    await world.gateway.start()


GRAPH_TOKEN = "Validation: Testing client application reachability for subscription Request-Id: 522a8e7e-096a"
VERIFY = quote(ENVIRON["VERIFY_TOKEN"])
HASHED = hashlib.sha256(f"c-1{ENVIRON['VERIFY_TOKEN']}https://hooks.example.com/webhooks/shaken".encode()).hexdigest()
ZOOMED = {"plainToken": "qgg8vlv", "encryptedToken": mac("qgg8vlv").hex(), "codes": ["qgg8vlv", 1]}
CRC_ANSWER = {"response_token": "sha256=" + base64.b64encode(mac("9b4507b3-9040")).decode()}

ANSWERED = {
    "echo a parameter as text": (
        HUB + 'body = "{token}"',
        get(f"?hub.mode=subscribe&hub.challenge=115&hub.verify_token={VERIFY}"),
        "115",
    ),
    "echo a parameter of a POST": (GRAPH, ("POST", [], b"", f"?validationToken={quote(GRAPH_TOKEN)}"), GRAPH_TOKEN),
    "echo a parameter as JSON": (
        HUB + 'json = { "hub.challenge" = "{token}" }',
        get(f"?hub.mode=subscribe&hub.challenge=115&hub.verify_token={VERIFY}"),
        {"hub.challenge": "115"},
    ),
    "echo a JSON field": (SLACK, post({"type": "url_verification", "challenge": "3eZbrw1a"}), "3eZbrw1a"),
    "echo a header in a header": (VALIDATION_TOKEN, ("POST", [("Validation-Token", "0b9-77")], b"", ""), ""),
    "echo a header in the body": (FRONT, post({}, ("x-front-challenge", "f-1")), {"challenge": "f-1"}),
    "sign a parameter": (CRC, get("?crc_token=9b4507b3-9040"), CRC_ANSWER),
    "sign a parameter whatever signature comes along": (
        CRC,
        get("?crc_token=9b4507b3-9040", ("x-sig", "0")),
        CRC_ANSWER,
    ),
    "sign a JSON field": (
        ZOOM,
        post({"event": "endpoint.url_validation", "payload": {"plainToken": "qgg8vlv"}}),
        ZOOMED,
    ),
    "hash a parameter": (EBAY, get("?challenge_code=c-1"), {"challengeResponse": HASHED}),
    "a signed ping": (DISCORD, post({"type": 1}), {"type": 1}),
    "right status for the right code": (FITBIT, get(f"?verify={VERIFY}"), 204),
    "another status for the wrong code": (FITBIT, get("?verify=wrong"), 404),
    "a constant body": (CONSTANT, post({"test": True}), "<ok/>"),
    "HEAD": (HEAD, get("", method="HEAD"), ""),
    "an empty POST": (EMPTY, ("POST", [], b"", ""), ""),
    "a form with a signature of nobody": (PING, ("POST", [FORM, ("x-sig", "0" * 64)], b"webhook_id=7", ""), ""),
    "a form without a signature": (PING, ("POST", [FORM], b"webhook_id=7", ""), ""),
}


@pytest.mark.parametrize(("handshake", "request_", "expected"), ANSWERED.values(), ids=ANSWERED)
async def test_answers(idle_world: World, handshake: str, request_: Any, expected: Any) -> None:
    """A handshake gets the answer its sender waits for, is logged as one by its kind, and leaves no delivery."""
    await start(idle_world, handshake)
    method, headers, body, query = request_
    with capture_logs() as lines:
        status, text, answered = await idle_world.ask(method, "shaken", headers, body, query)
    if isinstance(expected, int):
        assert (status, text) == (expected, "")
    else:
        assert (status, json.loads(text) if isinstance(expected, dict) else text) == (200, expected)
    assert answered["X-Content-Type-Options"] == "nosniff"
    [line] = [line for line in lines if line["event"] == "request"]
    assert (line["outcome"], line["detail"]) == ("handshake", handshake.split('"')[1])
    assert not [secret for secret in ENVIRON.values() if secret in str(lines)]
    assert await idle_world.gateway.inbox.search(Query()) == []


async def test_headers_and_types(idle_world: World) -> None:
    """The answer has the media type and the headers that its sender looks for."""
    await start(idle_world, CONSTANT)
    _, _, answered = await idle_world.ask("POST", "shaken", *post({"test": True})[1:3])
    assert answered["Content-Type"] == "text/xml; charset=utf-8"
    assert answered["X-Verify"] == ENVIRON["VERIFY_TOKEN"]


REFUSED = {
    "a wrong verify token": (
        HUB,
        get("?hub.mode=subscribe&hub.challenge=1&hub.verify_token=x"),
        401,
        "handshake_refused",
    ),
    "no verify token": (HUB, get("?hub.mode=subscribe&hub.challenge=1"), 401, "handshake_refused"),
    "another mode": (HUB, get("?hub.mode=denied&hub.challenge=1"), 405, "method_not_allowed"),
    "no challenge": (HUB, get("?hub.mode=subscribe"), 405, "method_not_allowed"),
    "a method that no handshake has": (HUB, get("", method="PUT"), 405, "method_not_allowed"),
    "markup in a token": (GRAPH, get("?validationToken=%3Cscript%3E", method="POST"), 400, "handshake_malformed"),
    "a line break in a token": (
        GRAPH,
        get("?validationToken=a%0D%0AX:%20y", method="POST"),
        400,
        "handshake_malformed",
    ),
    "a signed kind without a signature": (
        SLACK,
        post({"type": "url_verification", "challenge": "3"}, sign=False),
        401,
        "signature_missing",
    ),
    "a signed kind with a wrong one": (
        DISCORD,
        post({"type": 1}, ("x-sig", "0" * 64), sign=False),
        401,
        "signature_mismatch",
    ),
    "a body to be signed": (CRC, get("?crc_token=" + quote('{"id":1}')), 400, "handshake_malformed"),
    "a token too long to be one": (CRC, get("?crc_token=" + "a" * 129), 400, "handshake_malformed"),
    "a secret beside the configured one": (
        HOOK_SECRET,
        ("POST", [("X-Hook-Secret", "0" * 32)], b"", ""),
        401,
        "handshake_refused",
    ),
}


@pytest.mark.parametrize(("handshake", "request_", "status", "reason"), REFUSED.values(), ids=REFUSED)
async def test_refusals(idle_world: World, handshake: str, request_: Any, status: int, reason: str) -> None:
    """What is not quite the handshake gets a documented refusal, a sentence in the log, and no echo."""
    await start(idle_world, handshake)
    method, headers, body, query = request_
    with capture_logs() as lines:
        answered, text, _ = await idle_world.ask(method, "shaken", headers, body, query)
    assert (answered, json.loads(text)) == (status, {"status": "rejected", "reason": reason})
    [line] = [line for line in lines if line["event"] == "request"]
    assert line["detail"]
    assert not [secret for secret in ENVIRON.values() if secret in str(lines)]
    assert await idle_world.gateway.inbox.search(Query()) == []


async def test_deliveries_beside_handshakes(idle_world: World) -> None:
    """A delivery is kept although the source shakes hands, and one that looks like a handshake must be signed."""
    await start(idle_world, HOOK_SECRET)
    delivery = post({"id": "d-1"}, ("X-Hook-Secret", "0" * 32))
    status, text, _ = await idle_world.ask("POST", "shaken", *delivery[1:3])
    assert (status, json.loads(text)) == (200, {"status": "accepted", "delivery": "d-1"})


async def test_allowed_methods(idle_world: World) -> None:
    """A source names the methods it takes, which are POST and those of its handshakes."""
    await start(idle_world, HEAD)
    for method, source, allowed in (("GET", "shaken", "HEAD, POST"), ("HEAD", "stripe", "POST")):
        status, _, answered = await idle_world.ask(method, source)
        assert (status, answered["Allow"]) == (405, allowed)


async def test_a_ration_of_signed_answers(idle_world: World) -> None:
    """Of the answers that need the secret a source gives sixty a minute; others it gives without end."""
    clock = ManualClock()
    await start(idle_world, CRC + "[[sources.shaken.handshake]]\n" + HEAD, clock=clock)
    crc = get("?crc_token=1")
    for _ in range(60):
        assert (await idle_world.ask(*crc[:1], "shaken", query=crc[3]))[0] == 200
    status, text, answered = await idle_world.ask("GET", "shaken", query=crc[3])
    assert (status, json.loads(text)["reason"]) == (429, "handshakes_too_many")
    assert answered["Retry-After"]
    assert (await idle_world.ask("HEAD", "shaken"))[0] == 200
    clock.advance(1_000)
    assert (await idle_world.ask("GET", "shaken", query=crc[3]))[0] == 200
    assert (await idle_world.ask("GET", "shaken", query=crc[3]))[0] == 429


async def test_an_answer_that_would_pass_for_a_delivery(idle_world: World) -> None:
    """What the gateway signs for whoever asks is no proof: a body of such a token alone is refused."""
    await start(idle_world, CRC)
    _, text, _ = await idle_world.ask("GET", "shaken", query="?crc_token=12345")
    digest = base64.b64decode(json.loads(text)["response_token"].removeprefix("sha256=")).hex()
    status, text, _ = await idle_world.ask("POST", "shaken", [JSON, ("x-sig", digest)], b"12345")
    assert (status, json.loads(text)["reason"]) == (401, "signature_mismatch")
