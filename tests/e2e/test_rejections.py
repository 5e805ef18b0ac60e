"""Requests that must not get in: the documented 4xx, a log line with the reason, nothing stored or forwarded."""

import asyncio
import gzip
import io
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from gateway.history import Query
from tests.signed import BODIES, SECRETS, dumps, signed_headers
from tests.world import PROVIDER_OF, World

SOURCES = ["stripe", "slack", "github", "shopify", "standard", "acme"]
DAY = 86_400_000


async def refused(world: World, source: str, headers: Any, body: Any, status: int, reason: str) -> None:
    """Post, and assert answer, log line and that nothing was kept."""
    with capture_logs() as lines:
        answered, text = await world.post(source, headers, body)
    assert (answered, text) == (status, f'{{"status":"rejected","reason":"{reason}"}}')
    [line] = [line for line in lines if line["event"] == "request"]
    assert (line["outcome"], line["status"], line["reason"]) == ("rejected", status, reason)
    assert line["detail"]
    assert not [line for line in lines if line["event"] == "crashed"]
    assert not [secret for secret in SECRETS.values() if secret in str(lines)]
    assert await world.gateway.inbox.search(Query()) == []
    assert world.event_api.requests == []


def headers_of(world: World, source: str, body: bytes, *, ago: int = 0, secret: str | None = None) -> Any:
    """Sign a body for a source, some milliseconds ago."""
    provider = PROVIDER_OF.get(source, source)
    return signed_headers(provider, body, at=world.gateway.clock.wall() - ago, secret=secret)


def body_of(source: str) -> bytes:
    """Return the source's usual body."""
    return BODIES[PROVIDER_OF.get(source, source)]


@pytest.mark.parametrize("source", SOURCES)
async def test_each_way_to_be_wrong(world: World, source: str) -> None:
    """Tampered, wrongly keyed, unsigned and doubled headers are 401, each with its reason."""
    body = body_of(source)
    good = headers_of(world, source, body)
    other = "whsec_" + "B" * 32 if source in {"stripe", "standard"} else "another secret altogether"
    signature = next(name for name, _ in reversed(good) if "signature" in name or "hmac" in name)
    doubled = (*good, (signature, dict(good)[signature]))
    bare = [(name, value) for name, value in good if name != signature]
    await refused(world, source, good, body + b" ", 401, "signature_mismatch")
    await refused(world, source, headers_of(world, source, body, secret=other), body, 401, "signature_mismatch")
    await refused(world, source, bare, body, 401, "signature_missing")
    await refused(world, source, doubled, body, 401, "header_repeated")


@pytest.mark.parametrize("source", ["stripe", "slack", "standard", "acme"])
async def test_stale(world: World, source: str) -> None:
    """A genuine request from yesterday, or from tomorrow, is 401."""
    body = body_of(source)
    await refused(world, source, headers_of(world, source, body, ago=DAY), body, 401, "timestamp_stale")
    await refused(world, source, headers_of(world, source, body, ago=-DAY), body, 401, "timestamp_in_future")


@pytest.mark.parametrize("source", ["github", "shopify", "acme"])
async def test_not_utf8(world: World, source: str) -> None:
    """A signed body that is not UTF-8 is 400."""
    body = b'{"id": "\xff\xfe"}'
    await refused(world, source, headers_of(world, source, body), body, 400, "body_malformed")


async def chunks(count: int) -> AsyncIterator[bytes]:
    """Yield a body piece by piece, without saying how long it will be."""
    for _ in range(count):
        yield b"x" * 65_536


@pytest.mark.parametrize(("source", "mebibytes"), [("stripe", 1), ("github", 25)])
async def test_oversize(world: World, source: str, mebibytes: int) -> None:
    """A body over the source's limit is 413, by its declared length or as its chunks come in."""
    await refused(world, source, [], io.BytesIO(b"x" * (mebibytes * 1_048_576 + 1)), 413, "body_too_large")
    await refused(world, source, [], chunks(mebibytes * 16 + 1), 413, "body_too_large")


async def test_gzip_bomb(world: World) -> None:
    """A signed body that inflates beyond the limit is 413, and one that is torn is 400."""
    bomb = gzip.compress(b"0" * 60_000_000)
    torn = gzip.compress(b'{"a": 1}')[:-3]
    encoded = ("content-encoding", "gzip")
    await refused(world, "github", (*headers_of(world, "github", bomb), encoded), bomb, 413, "body_too_large")
    await refused(world, "github", (*headers_of(world, "github", torn), encoded), torn, 400, "encoding_invalid")
    other = (*headers_of(world, "github", b"{}"), ("content-encoding", "br"))
    await refused(world, "github", other, b"{}", 415, "encoding_unsupported")


async def test_unknown_source_and_method(world: World) -> None:
    """An unknown source is 404 and a GET is 405; neither says anything of what exists."""
    await refused(world, "nobody", [], b"{}", 404, "unknown_source")
    async with aiohttp.ClientSession() as session, session.get(world.url("stripe")) as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST")


RAW = [
    b"GARBAGE\r\n\r\n",
    b"POST /webhooks/stripe HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    b"POST /webhooks/stripe HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /webhooks/stripe HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n",
    b"POST /webhooks/stripe HTTP/1.1\r\nHost: a\r\nX: \x00\r\nContent-Length: 0\r\n\r\n",
    b"POST /webhooks/stripe HTTP/1.1\r\nHost: a\r\nStripe-Signature: t=1,v1=\xff\xfe\r\nContent-Length: 0\r\n\r\n",
    b"POST /webhooks/%ff%00 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    b"POST /webhooks/stripe HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 20_000 + b"\r\nContent-Length: 0\r\n\r\n",
]


@pytest.mark.parametrize("raw", RAW, ids=range(len(RAW)))
async def test_raw_bytes(world: World, raw: bytes) -> None:
    """Bytes that no HTTP client would send are a 4xx, and the next request is served as usual."""
    with capture_logs() as lines:
        reader, writer = await asyncio.open_connection("127.0.0.1", world.gateway.port)
        writer.write(raw)
        answer = await asyncio.wait_for(reader.readuntil(b"}"), 5)
        writer.close()
        await writer.wait_closed()
    assert answer.split(b" ")[1][:1] == b"4"
    assert b'{"status":"rejected"' in answer
    assert [line["outcome"] for line in lines] == ["rejected"]
    assert not [line for line in lines if line["event"] == "crashed"]
    assert (await world.send("stripe", BODIES["stripe"]))[0] == 200


async def test_client_that_leaves_midway(world: World) -> None:
    """A client that hangs up before its body is complete leaves nothing behind."""
    with capture_logs() as lines:
        _, writer = await asyncio.open_connection("127.0.0.1", world.gateway.port)
        writer.write(b"POST /webhooks/stripe HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        assert (await world.send("stripe", BODIES["stripe"]))[0] == 200
    assert not [line for line in lines if line["event"] == "crashed"]
    assert len(await world.gateway.inbox.search(Query())) == 1


async def test_slow_head_and_slow_body(idle_world: World) -> None:
    """A head that does not come is cut off, and a body that does not come is 408."""
    await idle_world.start()
    idle_world.gateway.receiver.body_timeout = 0.1
    reader, writer = await asyncio.open_connection("127.0.0.1", idle_world.gateway.port)
    writer.write(b"POST /webhooks/stripe HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
    assert b"408" in await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    await writer.wait_closed()


async def test_rejection_tells_a_label_and_no_more(world: World) -> None:
    """What a stranger is told is a label; the sentence with what to do is in the log alone."""
    with capture_logs() as lines:
        _, text = await world.post("slack", [], dumps({"type": "url_verification", "challenge": "x"}))
    assert text == '{"status":"rejected","reason":"signature_missing"}'
    assert "X-Slack-Signature" in str(lines)
