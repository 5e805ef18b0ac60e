"""Paths, keys, ids, dedupe and memory of the local event API."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from gateway.dev.event_api import LocalEventApi
from gateway.dev.event_ids import ulid
from tests.dev.conftest import NOW, Clock, Post

SEED = "1743130137367,eii2YKXRVTJPuA=="
DAY = 86_400_000


@pytest.mark.parametrize(
    ("method", "path", "status", "headers"),
    [
        ("POST", "/e", 200, {}),
        ("POST", "/e/key/more", 200, {}),
        ("POST", "/", 200, {}),
        ("PUT", "/events", 200, {}),
        ("POST", "/e/", 303, {"Location": "/e"}),
        ("POST", "/e/key/", 303, {"Location": "/e/key"}),
        ("POST", "//elsewhere.example.com/", 303, {"Location": "/elsewhere.example.com"}),
        ("GET", "/e/key", 405, {"Allow": "POST"}),
        ("PUT", "/e/key", 405, {"Allow": "POST"}),
        ("HEAD", "/e/key", 405, {"Allow": "POST"}),
    ],
)
async def test_wrong_paths(
    api: LocalEventApi, post: Post, method: str, path: str, status: int, headers: dict[str, str]
) -> None:
    """A wrong path is answered like a page, a trailing slash redirected, another method refused; nothing is stored."""
    answered = await post(b'{"name":"a"}', path=path, method=method)
    assert (answered.status, answered.body, api.events, api.requests) == (status, b"", [], [])
    assert headers.items() <= answered.headers.items()


async def test_health(post: Post) -> None:
    """The health check answers JSON."""
    answered = await post(b"", path="/health", method="GET")
    assert (answered.status, answered.body) == (200, b'{"status":200,"message":"OK"}\n')


@pytest.mark.parametrize(
    ("keys", "key", "status", "kind"),
    [
        (None, "anything", 200, "dev"),
        ({"right", "other"}, "right", 200, "cloud"),
        ({"with space"}, "with%20space", 200, "cloud"),
        ({"right"}, "wrong", 401, "cloud"),
        (set(), "right", 503, "cloud"),
    ],
)
async def test_keys(api: LocalEventApi, post: Post, keys: set[str] | None, key: str, status: int, kind: str) -> None:
    """Without a set of keys any will do; with one the others are 401 before the body is looked at."""
    api.keys = keys
    answered = await post(b'{"name":"a"}' if status == 200 else b"not JSON", path=f"/e/{key}")
    assert (answered.status, answered.headers["X-Inngest-Server-Kind"]) == (status, kind)
    assert len(api.events) == (1 if status == 200 else 0)


async def test_the_answer_to_a_wrong_key(api: LocalEventApi, post: Post) -> None:
    """It is JSON of another shape, without ids."""
    api.keys = {"right"}
    answered = await post(b'{"name":"a"}')
    assert answered.headers["Content-Type"] == "application/json"
    assert answered.body == b'{"status":401,"message":"","error":"Event key not found"}\n'


async def test_an_error_is_safe_to_embed_in_html(post: Post) -> None:
    """The answer is written as Go writes it, with <, > and & escaped."""
    answered = await post('{"name":"inngest/<é&>"}'.encode())
    assert r"inngest/\u003cé\u0026\u003e".encode() in answered.body


async def test_random_ids_carry_the_time_of_receipt(api: LocalEventApi, post: Post) -> None:
    """Without a seed ids are ULIDs of now, all different."""
    await post(b'[{"name":"a"},{"name":"a"}]')
    first, second = (event.internal_id for event in api.events)
    assert first != second
    assert first[:10] == second[:10] == ulid(NOW, bytes(10))[:10]


async def test_a_seed_makes_ids_deterministic(api: LocalEventApi, post: Post) -> None:
    """The ids are those that a Go program with oklog/ulid computed for positions 1, 2 and 5,000."""
    await post(b"[" + b",".join([b'{"name":"a"}'] * 5_000) + b"]", x_inngest_event_id_seed=SEED)
    ids = [event.internal_id for event in api.events]
    assert (ids[0], ids[1]) == ("01JQDAE4RQF8MBCR55T5AK4KXS", "01JQDAE4RQF8MBCR55T5AK4KXT")
    assert ids[4_999] == "01JQDAE4RQF8MBCR55T5AK4RT0"


async def test_the_position_is_added_to_the_last_four_bytes_alone(api: LocalEventApi, post: Post) -> None:
    """The sum wraps at 32 bits, so the bytes before never change."""
    await post(b'[{"name":"a"},{"name":"b"}]', x_inngest_event_id_seed="1743130137367,AAAAAAAA/////w==")
    assert [event.internal_id for event in api.events] == ["01JQDAE4RQ0000000000000000", "01JQDAE4RQ0000000000000001"]


def test_a_ulid_as_its_specification_shows_one() -> None:
    """The time of the specification's example makes its first ten characters."""
    assert ulid(1_469_918_176_385, bytes(10)) == "01ARYZ6S41" + "0" * 16


@pytest.mark.parametrize(
    "seed",
    [
        "",
        "1743130137367",
        "1743130137367,",
        "0,eii2YKXRVTJPuA==",
        "-1,eii2YKXRVTJPuA==",
        "1.5,eii2YKXRVTJPuA==",
        f"{2**48},eii2YKXRVTJPuA==",
        f"1743130137367,{base64.b64encode(bytes(9)).decode()}",
        f"1743130137367,{base64.b64encode(bytes(11)).decode()}",
        "1743130137367,eii2YKXRVTJPuA",
        "1743130137367,eii2YKXRVTJPu!==",
        "1743130137367,eii2YKXRVTJPuA==,x",
    ],
)
async def test_a_malformed_seed_is_ignored(api: LocalEventApi, post: Post, seed: str) -> None:
    """The event is taken under a random id, as if there were no seed."""
    assert (await post(b'{"name":"a"}', x_inngest_event_id_seed=seed)).status == 200
    assert api.events[0].internal_id.startswith(ulid(NOW, bytes(10))[:10])


async def test_duplicates_are_stored_and_start_no_run(api: LocalEventApi, post: Post, clock: Clock) -> None:
    """A run starts once per id within 24 hours of the first, whatever the name; every event is answered and kept."""
    for elapsed, name in ((0, "a"), (1, "a"), (DAY - 1, "other"), (DAY, "a"), (2 * DAY - 1, "a")):
        clock.now = NOW + elapsed
        assert (await post(b'{"id":"x","name":"%b"}' % name.encode())).status == 200
    assert [event.starts_run for event in api.events] == [True, False, False, True, False]
    assert [event.received_at for event in api.runs()] == [NOW, NOW + DAY]


async def test_a_resent_seed_starts_no_second_run(api: LocalEventApi, post: Post) -> None:
    """Without ids of its own a request sent again under its seed has the same ids, and a split one has not."""
    whole, tail = b'[{"name":"a"},{"name":"b"}]', b'[{"name":"b"}]'
    first, again = [(await post(whole, x_inngest_event_id_seed=SEED)).body for _ in range(2)]
    assert first == again
    assert [event.name for event in api.runs()] == ["a", "b"]
    await post(tail, x_inngest_event_id_seed=SEED)
    assert api.events[-1].internal_id == api.events[0].internal_id


async def test_requests_are_recorded_without_the_key(api: LocalEventApi, post: Post) -> None:
    """Headers, body and status are there to assert on; the key is nowhere."""
    await post(b'{"name":"a"}', path="/e/s3cret", traceparent="00-1-2-01")
    await post(b"{")
    first, second = api.requests
    assert (first.number, first.status, first.body, first.received_at) == (1, 200, b'{"name":"a"}', NOW)
    assert (first.header("traceparent"), first.header("absent")) == ("00-1-2-01", "")
    assert (second.number, second.status) == (2, 400)
    assert "s3cret" not in repr(api.requests)


@pytest.fixture
async def small(clock: Clock) -> AsyncIterator[LocalEventApi]:
    """Run a local event API that remembers three of everything, and at most 200 bytes."""
    server = LocalEventApi(clock=clock, keep=3, keep_bytes=200)
    await server.start()
    yield server
    await server.stop()


async def test_memory_is_bounded_in_number_and_bytes(small: LocalEventApi) -> None:
    """The newest are kept, the total is counted, and a duplicate of a forgotten event is still one."""
    async with aiohttp.ClientSession() as session:
        for number in (*range(6), 0):
            async with session.post(f"{small.url}/e/key", data=b'{"name":"a","id":"%d"}' % number) as answer:
                assert answer.status == 200
        assert ([event.id for event in small.events], len(small.requests)) == (["4", "5", "0"], 3)
        assert (small.events[-1].starts_run, small.total_events) == (False, 7)
        async with session.post(f"{small.url}/e/key", data=b'{"name":"%b"}' % (b"n" * 300)):
            assert [len(event.name) for event in small.events] == [300]


async def test_ids_are_forgotten_in_the_end(small: LocalEventApi) -> None:
    """Remembered ids are bounded too, oldest first."""
    ids = [str(number) for number in range(61)]
    async with aiohttp.ClientSession() as session:
        for batch in (ids, ["1", "0"]):
            body = json.dumps([{"name": "a", "id": one} for one in batch])
            async with session.post(f"{small.url}/e/key", data=body) as answer:
                assert answer.status == 200
    assert [event.starts_run for event in small.events[-2:]] == [False, True]


async def test_bodies_are_taken_as_they_are_on_the_wire(api: LocalEventApi, post: Post) -> None:
    """A chunked body is an ordinary one, and a Content-Encoding is not undone."""

    async def chunks() -> AsyncIterator[bytes]:
        for chunk in (b'[{"name":', b'"a"}', b"]"):
            yield chunk

    async with aiohttp.ClientSession() as session, session.post(f"{api.url}/e/key", data=chunks()) as answer:
        assert answer.status == 200
    assert (await post(b"\x1f\x8b\x08\x00zip", Content_Encoding="gzip")).status == 400


async def test_a_body_cut_off_by_its_sender_stores_nothing(api: LocalEventApi, post: Post) -> None:
    """The connection is dropped in silence and the server goes on."""
    host, port = "127.0.0.1", int(api.url.rpartition(":")[2])
    _, writer = await asyncio.open_connection(host, port)
    writer.write(b'POST /e/key HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[{"name":"a"},')
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await post(b'{"name":"b"}')).status == 200
    assert [event.name for event in api.events] == ["b"]
