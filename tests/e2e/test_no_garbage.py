"""What requests leave goes with them: a cycle would stay until the garbage collector stops everything to find it."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import gateway
from gateway.dev.faults import Answer
from tests.signed import dumps, signed_headers
from tests.world import World

CODE = str(Path(gateway.__file__).parent)
TIMES = 5


def ours(thing: Any) -> str:
    """Name an object of the gateway's, or a call of its code that is not over; empty for all others."""
    if isinstance(thing, FrameType):
        return thing.f_code.co_qualname if thing.f_code.co_filename.startswith(CODE) else ""
    kind = type(thing)
    return kind.__qualname__ if kind.__module__.partition(".")[0] == "gateway" else ""


@contextmanager
def garbage() -> Iterator[Callable[[], Counter[str]]]:
    """Give what counts that of the gateway which nothing holds and which did not go, from here on."""
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)

    def found() -> Counter[str]:
        gc.collect()
        return Counter(filter(None, map(ours, gc.garbage)))

    try:
        yield found
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def request(body: bytes, *headers: tuple[str, str], path: str = "/webhooks/stripe", method: str = "POST") -> bytes:
    """Return a request as it is sent."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *(f"{name}: {value}" for name, value in headers)]
    if not any(name == "Content-Length" for name, _ in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


async def exchange(world: World, *requests: bytes) -> list[int]:
    """Send requests one after the other over a connection of their own, and close it; return the statuses."""
    reader, writer = await asyncio.open_connection("127.0.0.1", world.gateway.port)
    statuses = []
    for each in requests:
        writer.write(each)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        statuses.append(int(head[9:12]))
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    writer.close()
    await writer.wait_closed()
    return statuses


def signed(body: bytes, signs: bytes | None = None, *headers: tuple[str, str]) -> bytes:
    """Return a request whose signature is good for `signs`, the body unless told."""
    at = time.time_ns() // 1_000_000
    return request(body, *signed_headers("stripe", body if signs is None else signs, at=at), *headers)


def good(number: int) -> bytes:
    """Return a webhook as Stripe sends it."""
    event = {"id": f"evt_{number}", "object": "event", "type": "charge.failed", "created": 1_700_000_000}
    return signed(dumps(event))


KINDS = {
    "signature_mismatch": (lambda: signed(b"{}", b"[]"), 401),
    "signature_missing": (lambda: request(b"{}"), 401),
    "unknown_source": (lambda: request(b"{}", path="/webhooks/nobody"), 404),
    "not_found": (lambda: request(b"{}", path="/"), 404),
    "method_not_allowed": (lambda: request(b"", method="PUT"), 405),
    "body_malformed": (lambda: signed(dumps({"id": "x" * 300, "object": "event", "type": "a.b"})), 400),
    "body_too_large": (lambda: request(b"", ("Content-Length", "9999999999")), 413),
    "encoding_invalid": (lambda: signed(b"x", None, ("Content-Encoding", "gzip")), 400),
    "duplicate": (lambda: good(0), 200),
}


@pytest.mark.parametrize(("make", "status"), KINDS.values(), ids=KINDS)
async def test_a_request_leaves_nothing(world: World, make: Callable[[], bytes], status: int) -> None:
    """Whatever a request is answered, neither it nor its connection is left to the garbage collector."""
    sent = make()
    await exchange(world, good(0))
    assert await exchange(world, sent) == [status]
    with garbage() as found:
        for _ in range(TIMES):
            assert await exchange(world, sent) == [status]
        await asyncio.sleep(0.05)
        assert found() == Counter()


@pytest.mark.parametrize("failures", [0, 3])
async def test_a_delivery_leaves_nothing(world: World, failures: int) -> None:
    """From its connection to its settlement a delivery goes by itself, on connections that go on and that end.

    So it does where the event API fails at first, and so do the entries that wait then.
    """
    await exchange(world, good(0))
    await world.arrived(1)
    with garbage() as found:
        world.event_api.answer_next(*[Answer(503)] * failures)
        assert await exchange(world, *map(good, range(1, TIMES))) == [200] * (TIMES - 1)
        for number in range(TIMES, 2 * TIMES):
            assert await exchange(world, good(number)) == [200]
        await world.arrived(2 * TIMES)
        await asyncio.sleep(0.05)
        assert found() == Counter()
