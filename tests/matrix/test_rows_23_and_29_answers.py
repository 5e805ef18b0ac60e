"""Rows 23 and 29: throttling in every spelling, and names that do not resolve."""

import asyncio
import socket
import time
from email.utils import formatdate
from typing import Any

import pytest
from yarl import URL

from gateway.dev.faults import Answer
from gateway.lane import CAP_SECONDS
from tests.bench import Bench, name_of


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("0", 1, 1),
        ("120", 110, 120),
        (600, 500, 600),
        (-600, 1, 1),
        ("1000000000", 3_500, 3_600),
        ("soon", 0, CAP_SECONDS),
        ("-5", 0, CAP_SECONDS),
        ("", 0, CAP_SECONDS),
    ],
    ids=["zero", "seconds", "date", "past", "absurd", "garbage", "negative", "empty"],
)
async def test_retry_after_in_every_spelling(bench: Bench, value: str | int, least: float, most: float) -> None:
    """Retry-After is honoured as seconds or as a date, kept between a second and an hour, and ignored when garbage."""
    text = value if isinstance(value, str) else formatdate(time.time() + value, usegmt=True)
    bench.event_api.answer_next(Answer(429, {"Retry-After": text}))
    await bench.put("d1")
    await bench.attempted("d1")
    assert least <= bench.sender.lane.wait(bench.clock.now()) <= most
    bench.clock.advance(int(most * 1_000))
    await bench.reach(forwarded=1)
    assert bench.arrivals() == {name_of(1): 1}


async def test_name_that_does_not_resolve_and_then_moves(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the name of the event API does not resolve it is out of reach; a new address is used when it has one."""
    port = URL(bench.event_api.url).port or 0
    addresses: list[str] = []

    async def look_up(host: str, *_: Any, **__: Any) -> list[Any]:
        if not addresses:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", look_up)
    await bench.stop()
    bench.url = f"http://events.test:{port}"
    await bench.start()
    await bench.put("d1")
    history = await bench.attempted("d1")
    assert history.attempts[0].outcome == "unreachable"
    addresses[:] = ["127.0.0.1"]
    await bench.reach(forwarded=1)
    await bench.event_api.stop()
    await bench.event_api.start("127.0.0.2", port)
    addresses[:] = ["127.0.0.2"]
    started = time.monotonic()
    monkeypatch.setattr("aiohttp.connector.monotonic", lambda: started + 60)  # an answer is remembered for 10 s
    await bench.put("d2")
    await bench.reach(forwarded=2)
    assert set(bench.arrivals().values()) == {1}
