"""The faults that the local event API plays for those who must survive them."""

import asyncio
import json
import socket

import aiohttp
import pytest

from gateway.dev.event_api import LocalEventApi
from gateway.dev.faults import Answer, Fault, Hang, Refuse, Reset, Truncate, WrongIds
from tests.dev.conftest import Post

EVENT = b'{"name":"a","id":"x"}'


@pytest.mark.parametrize(
    "fault",
    [
        Answer(429, {"Retry-After": "7"}),
        Answer(500, {}, b"broken"),
        Answer(413),
        Answer(307, {"Location": "http://127.0.0.1:1/"}),
        Answer(200, {"Content-Type": "text/html"}, b"<!doctype html>"),
    ],
)
async def test_a_scripted_answer_is_given_once_and_stores_nothing(
    api: LocalEventApi, post: Post, fault: Answer
) -> None:
    """Status, headers and body are as scripted, and the next request is answered normally."""
    api.answer_next(fault)
    answered = await post(EVENT)
    assert (answered.status, answered.body, api.events) == (fault.status, fault.body, [])
    assert dict(fault.headers).items() <= answered.headers.items()
    assert (await post(EVENT)).status == 200
    assert [request.status for request in api.requests] == [fault.status, 200]


@pytest.mark.parametrize(
    ("fault", "stored", "read"),
    [(Reset("unread"), 0, False), (Reset("read"), 0, True), (Reset("stored"), 1, True)],
)
async def test_a_reset_connection(api: LocalEventApi, post: Post, fault: Fault, stored: int, *, read: bool) -> None:
    """The sender sees a reset in each case and cannot tell whether the events are stored."""
    api.answer_next(fault)
    with pytest.raises(aiohttp.ClientOSError) as error:
        await post(EVENT)
    assert isinstance(error.value.__cause__ or error.value, OSError)
    assert (len(api.events), [request.status for request in api.requests]) == (stored, [None])
    assert api.requests[0].body == (EVENT if read else b"")


@pytest.mark.parametrize(("fault", "stored"), [(Hang(), 0), (Hang(stored=True), 1)])
async def test_a_hanging_answer_ends_with_the_server(api: LocalEventApi, post: Post, fault: Fault, stored: int) -> None:
    """A request is held until the server stops, which does not wait for it."""
    api.answer_next(fault)
    held = asyncio.create_task(post(EVENT))
    await api.until(lambda: len(api.requests) == 1 and len(api.events) == stored)
    assert not held.done()
    async with asyncio.timeout(2):
        await api.stop()
        with pytest.raises(aiohttp.ClientConnectionError):
            await held


async def test_a_sender_that_gives_up_releases_a_hanging_answer(api: LocalEventApi, post: Post) -> None:
    """The server goes on for others while one request hangs."""
    api.answer_next(Hang(stored=True))
    held = asyncio.create_task(post(EVENT))
    await api.until(lambda: len(api.events) == 1)
    assert (await post(EVENT)).status == 200
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
    assert len(api.runs()) == 1


async def test_a_truncated_answer(api: LocalEventApi, post: Post) -> None:
    """The events are stored and the JSON of the answer is not whole."""
    api.answer_next(Truncate())
    answered = await post(EVENT)
    assert (answered.status, len(api.events)) == (200, 1)
    with pytest.raises(json.JSONDecodeError):
        json.loads(answered.body)


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_wrong_number_of_ids(api: LocalEventApi, post: Post, count: int) -> None:
    """The events are stored and the answer has as many ids as scripted."""
    api.answer_next(WrongIds(count))
    answered = await post(b'[{"name":"a"},{"name":"b"}]')
    assert (answered.status, len(json.loads(answered.body)["ids"]), len(api.events)) == (200, count, 2)


@pytest.mark.parametrize("fault", [Refuse(id="2", error="no"), Refuse(name="b", error="no")])
async def test_a_refused_event(api: LocalEventApi, post: Post, fault: Fault) -> None:
    """It is answered 400 at its position; those before it are stored and those after it dropped."""
    api.answer_next(fault)
    answered = await post(b'[{"name":"a"},{"name":"b","id":"2"},{"name":"c"}]')
    (stored,) = api.events
    expected = {"ids": [stored.internal_id], "status": 400, "error": "no"}
    assert (answered.status, json.loads(answered.body)) == (400, expected)


async def test_behave_decides_from_number_and_body(api: LocalEventApi, post: Post) -> None:
    """It is asked for each request the script says nothing about."""
    api.behave = lambda number, body: Answer(500) if number == 2 or b"bad" in body else None
    api.answer_next(None, Answer(503))
    statuses = [(await post(b'{"name":"%b"}' % name)).status for name in (b"a", b"b", b"bad", b"c")]
    assert statuses == [200, 503, 500, 200]


async def test_a_reset_that_behave_asks_for(api: LocalEventApi, post: Post) -> None:
    """Asked after the body is read, even an unread reset stores nothing."""
    api.behave = lambda _number, _body: Reset("unread")
    with pytest.raises(aiohttp.ClientOSError):
        await post(EVENT)
    assert api.events == []


async def test_a_wrong_key_is_refused_before_a_fault_of_storing(api: LocalEventApi, post: Post) -> None:
    """Faults after storing do not let a wrong key store anything."""
    api.keys = {"right"}
    api.answer_next(Truncate())
    assert ((await post(EVENT)).status, api.events) == (401, [])


async def test_an_outage_ends_on_the_same_port(api: LocalEventApi, post: Post) -> None:
    """A stopped server refuses connections; started again it has the same URL and all it had before."""
    await post(EVENT)
    url = api.url
    await api.stop()
    with pytest.raises(aiohttp.ClientOSError):  # the client's idle connection was closed
        await post(EVENT)
    with pytest.raises(aiohttp.ClientConnectorError):
        await post(EVENT)
    await api.start()
    assert api.url == url
    assert (await post(EVENT)).status == 200
    assert ([event.starts_run for event in api.events], len(api.requests)) == ([True, False], 2)


async def test_a_taken_port_is_an_error() -> None:
    """A port that someone listens on is not shared, and the failure leaves nothing behind."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = LocalEventApi()
        with pytest.raises(OSError, match="in use"):
            await server.start(port=taken.getsockname()[1])
        await server.stop()


async def test_waiting_is_bounded(api: LocalEventApi) -> None:
    """What never comes is a TimeoutError."""
    with pytest.raises(TimeoutError):
        await api.until(lambda: bool(api.events), within=0.01)


async def test_an_ipv6_host_is_bracketed_in_the_url() -> None:
    """The URL can be used as it is."""
    server = LocalEventApi()
    try:
        await server.start(host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with aiohttp.ClientSession() as session, session.post(f"{server.url}/e/key", data=EVENT) as answer:
        assert (answer.status, server.url[:13]) == (200, "http://[::1]:")
    await server.stop()
