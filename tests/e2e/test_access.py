"""Who may send to a source: path tokens, allow lists, and proxies whose word is taken."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from typing import Any

from structlog.testing import capture_logs

from gateway.app import Gateway
from gateway.history import Query
from tests.signed import BODIES, signed_headers
from tests.world import World

TOKEN = "dGhpcy1pcy1oaWRkZW4.2026_10-1"
OUTSIDE = "203.0.113.7"
DOOR = """
[sources.door]
provider = "github"
secrets = ["${GITHUB_SECRET}"]
"""
HIDDEN = f'{DOOR}path_token = "${{TOKEN}}"\n'
ALLOWED = f'{DOOR}allow = ["203.0.113.0/24", "2001:db8::/32"]\n'
UNKNOWN = '{"status":"rejected","reason":"unknown_source"}'
REFUSED = '{"status":"rejected","reason":"address_refused"}'
BODY = BODIES["github"]


async def ask(world: World, path: str, *headers: tuple[str, str]) -> tuple[int, str, list[Any]]:
    """Post a signed request to a path below /webhooks/; return status, body and log lines."""
    with capture_logs() as lines:
        status, text = await world.post(path, (*signed_headers("github", BODY), *headers), BODY)
    return status, text, [line for line in lines if line["event"] == "request"]


async def start_behind(world: World, header: str = "x-forwarded-for") -> None:
    """Start a gateway that takes the word of this machine, as that of a proxy."""
    path = world.write_config(ALLOWED)
    trusting = f'[server]\ntrusted_proxies = ["127.0.0.1", "10.0.0.0/8"]\nforwarded_header = "{header}"'
    path.write_text(path.read_text().replace("[server]", trusting, 1))
    world.gateway = Gateway(world.read_config())
    await world.gateway.start()


async def test_the_url_ends_in_the_token(idle_world: World) -> None:
    """A request to the whole URL is taken, with and without a slash at its end."""
    await idle_world.start(HIDDEN, TOKEN=TOKEN)
    outcomes = [(await ask(idle_world, f"door/{TOKEN}{ending}"))[2][0]["outcome"] for ending in ("", "/")]
    assert outcomes == ["accepted", "duplicate"]


async def test_a_wrong_token_is_an_unknown_source(idle_world: World) -> None:
    """Without the token nobody can tell that there is such a source, and the log never holds it."""
    await idle_world.start(HIDDEN, TOKEN=TOKEN)
    for path in ("nowhere", "door", "door/", f"door/{TOKEN}x", f"door/{TOKEN[:-1]}", "door/%FF", "door/%C3%A9"):
        status, text, [line] = await ask(idle_world, path)
        assert (status, text, line["reason"]) == (404, UNKNOWN, "unknown_source")
        assert TOKEN not in str(line)
    assert (await ask(idle_world, f"door/{TOKEN}/more"))[:2] == (404, UNKNOWN)
    assert not await idle_world.gateway.inbox.search(Query())


async def test_a_source_without_a_token_has_none(world: World) -> None:
    """One part more than the URL has is an unknown source."""
    assert (await ask(world, f"github/{TOKEN}"))[:2] == (404, UNKNOWN)


async def test_any_method_without_the_token_is_unknown(idle_world: World) -> None:
    """The answer to another method tells no more: no Allow header, the same bytes."""
    await idle_world.start(HIDDEN, TOKEN=TOKEN)
    status, text, headers = await idle_world.ask("GET", "door")
    assert (status, text, headers.get("allow")) == (404, UNKNOWN, None)
    assert (await idle_world.ask("GET", f"door/{TOKEN}"))[0] == 405


async def test_other_addresses_are_refused(idle_world: World) -> None:
    """A peer outside the networks is refused, whatever its headers claim, and the log says which address it has."""
    await idle_world.start(ALLOWED)
    status, text, [line] = await ask(idle_world, "door", ("X-Forwarded-For", OUTSIDE))
    assert (status, text) == (404, REFUSED)
    assert line["reason"] == "address_refused"
    assert "sources.door.allow" in line["detail"]
    assert line["detail"].endswith("it is 127.0.0.1")
    assert not await idle_world.gateway.inbox.search(Query())


async def test_a_refused_body_is_never_read(idle_world: World) -> None:
    """The answer comes while the body is still to come, and ends the connection."""
    await idle_world.start(ALLOWED)
    reader, writer = await asyncio.open_connection("127.0.0.1", idle_world.gateway.port)
    writer.write(b"POST /webhooks/door HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
    answer = (await reader.readuntil(b"}")).lower()
    assert answer.startswith(b"http/1.1 404")
    assert b"connection: close" in answer
    writer.close()
    await writer.wait_closed()


async def test_a_proxy_tells_who_sent(idle_world: World) -> None:
    """Behind a trusted proxy the right-most address that is not a proxy's decides, and nothing a client may write."""
    await start_behind(idle_world)
    allowed = (
        [OUTSIDE],
        ["[2001:db8::1]:4711"],
        ["198.51.100.9, 203.0.113.7, 10.1.2.3"],
        ["198.51.100.9", OUTSIDE, "10.1.2.3"],
    )
    others: tuple[list[str], ...] = (
        [f"{OUTSIDE}, 198.51.100.9"],
        [f"{OUTSIDE}, garbage"],
        [f"{OUTSIDE},"],
        [OUTSIDE, ""],
        ["é"],
        [],
    )
    for cases, expected in ((allowed, 200), (others, 404)):
        for values in cases:
            headers = [("X-Forwarded-For", value) for value in values]
            assert (values, (await ask(idle_world, "door", *headers))[0]) == (values, expected)


async def test_a_proxy_tells_by_the_standard_header(idle_world: World) -> None:
    """With forwarded_header = "forwarded" that header counts, and the other one is a client's own."""
    await start_behind(idle_world, "forwarded")
    told = ("Forwarded", f'for="{OUTSIDE}:4711";proto=https')
    assert (await ask(idle_world, "door", told, ("X-Forwarded-For", "198.51.100.9")))[0] == 200
    assert (await ask(idle_world, "door", ("X-Forwarded-For", OUTSIDE)))[0] == 404


async def test_a_folded_header_is_no_http(idle_world: World) -> None:
    """A header that goes on in the next line, which proxies read in different ways, is refused as malformed."""
    await start_behind(idle_world)
    reader, writer = await asyncio.open_connection("127.0.0.1", idle_world.gateway.port)
    writer.write(
        b"POST /webhooks/door HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.7,\r\n 198.51.100.9\r\n"
        b"Content-Length: 0\r\n\r\n"
    )
    assert b" 400 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_an_allow_list_does_not_replace_the_signature(idle_world: World) -> None:
    """From an address that may send, an unsigned request is refused as ever."""
    await idle_world.start(f'{DOOR}allow = ["127.0.0.1"]\n')
    status, text = await idle_world.post("door", (), BODY)
    assert (status, json.loads(text)["reason"]) == (401, "signature_missing")
    assert (await ask(idle_world, "door"))[0] == 200


async def test_a_signed_url_is_the_configured_one(idle_world: World) -> None:
    """What is signed is the source's public_url with its path token and the received query, whatever Host says."""
    await idle_world.start(
        """
[sources.signed]
provider = "hmac"
secrets = ["${OWN}"]
public_url = "https://example.com/hooks/in/"
path_token = "${TOKEN}"
[sources.signed.signature]
header = "X-Signature"
signed = "{url}{body}"
[sources.signed.delivery]
id = "json:/id"
""",
        TOKEN=TOKEN,
        OWN="yet another secret",
    )
    url = f"https://example.com/hooks/in/{TOKEN}?a=1"
    body = b'{"id":"1"}'
    made = hmac.new(b"yet another secret", url.encode() + body, hashlib.sha256).hexdigest()
    host = ("Host", "evil.example"), ("X-Forwarded-Host", "evil.example")
    status, text = await idle_world.post(f"signed/{TOKEN}?a=1", (("X-Signature", made), *host), body)
    assert (status, json.loads(text)["delivery"]) == (200, "1")
    assert (await idle_world.post(f"signed/{TOKEN}?a=2", (("X-Signature", made),), body))[0] == 401
