"""Connections whose requests are answered by their own task."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from gateway.answers import Answer
from gateway.listener import Listener
from gateway.straight import Plain, StraightHandler

ANSWER = Answer(200, headers={"X-Kept": "yes"})
POST = b"POST /%b HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b"


class Application:
    """Answers by path: `/full` with a response of aiohttp's, `/lost` with a fault, `/unread` before the body came."""

    def __init__(self) -> None:
        self.going_on = asyncio.Event()
        self.malformed: list[int] = []
        self.rounds = 0
        self.answered_in: list[int] = []

    async def handle(self, request: web.BaseRequest) -> Plain | web.Response:
        """Answer one request."""
        match request.path:
            case "/full":
                return web.Response(text="full")
            case "/fault":
                raise LookupError
            case "/at-once":
                self.answered_in.append(self.rounds)
                return Plain(ANSWER, b"at once")
            case "/unread":
                return Plain(Answer(413), b"too large")
            case "/last":
                last = Plain(ANSWER, b"last")
                last.force_close()
                return last
            case "/held":
                await self.going_on.wait()
        return Plain(ANSWER, b"%d" % len(await request.read()))


@pytest.fixture
async def application() -> Application:
    """Give the application."""
    return Application()


@pytest.fixture
async def listener(application: Application) -> AsyncIterator[Listener]:
    """Give a listener of it."""
    made = Listener(
        application.handle,
        on_malformed=lambda status, _: application.malformed.append(status),
        connection=StraightHandler,
    )
    await made.start("127.0.0.1", 0)
    yield made
    await made.stop(0.2)


class Client:
    """A connection of bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, listener: Listener) -> Client:
        """Open it."""
        return cls(*await asyncio.open_connection("127.0.0.1", listener.port))

    def post(self, path: str, body: bytes = b"") -> None:
        """Send a request."""
        self.writer.write(POST % (path.encode(), len(body), body))

    async def answer(self) -> tuple[str, dict[str, str], bytes]:
        """Return status line, headers (lower case) and body of the next response."""
        head = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode()
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        return first, headers, await self.reader.readexactly(int(headers["content-length"]))

    async def rest(self) -> bytes:
        """Return what comes until the other side closes."""
        return await asyncio.wait_for(self.reader.read(), 10)


@pytest.fixture
async def client(listener: Listener) -> AsyncIterator[Client]:
    """Give an open connection."""
    made = await Client.connect(listener)
    yield made
    made.writer.close()


async def test_a_plain_answer_has_what_every_response_has(client: Client) -> None:
    """Status, the answer's own headers, type, length and date, on a connection that goes on."""
    for body in (b"one", b"", b"three of them" * 1000):
        client.post("", body)
        first, headers, content = await client.answer()
        assert (first, content) == ("HTTP/1.1 200 OK", b"%d" % len(body))
        assert headers.keys() == {"x-kept", "content-type", "server", "content-length", "date"}
        assert (headers["content-type"], headers["x-kept"]) == ("application/json", "yes")
        assert headers["date"].endswith(" GMT")


async def test_requests_that_come_together_are_answered_in_turn(client: Client) -> None:
    """So many that the parser and the socket have to wait as well."""
    bodies = [b"x" * n for n in range(200)]
    for body in bodies:
        client.post("", body)
    assert [(await client.answer())[2] for _ in bodies] == [b"%d" % len(body) for body in bodies]


async def test_requests_that_come_together_leave_turns_to_others(client: Client, application: Application) -> None:
    """However fast they are answered, the loop goes round between two of them."""
    over = asyncio.Event()

    async def go_round() -> None:
        while not over.is_set():
            application.rounds += 1
            await asyncio.sleep(0)

    going = asyncio.create_task(go_round())
    client.writer.write(b"".join(POST % (b"at-once", 0, b"") for _ in range(50)))
    for _ in range(50):
        await client.answer()
    over.set()
    await going
    assert len({*application.answered_in}) == 50


async def test_a_body_that_comes_in_pieces(client: Client) -> None:
    """The handler waits for it, and the connection goes on."""
    client.writer.write(POST % (b"", 6, b"abc"))
    await client.writer.drain()
    await asyncio.sleep(0.05)
    client.writer.write(b"def")
    client.post("", b"next")
    assert [(await client.answer())[2] for _ in range(2)] == [b"6", b"4"]


@pytest.mark.parametrize(
    ("head", "connection"),
    [
        (b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", "close"),
        (b"POST / HTTP/1.0\r\nContent-Length: 0\r\n\r\n", None),
        (b"POST /last HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", "close"),
    ],
)
async def test_the_last_request_of_a_connection(client: Client, head: bytes, connection: str | None) -> None:
    """Where the client or the handler ends the connection it is told, and ended."""
    client.writer.write(head)
    first, headers, _ = await client.answer()
    assert (first.split(" ", 1)[1], headers.get("connection")) == ("200 OK", connection)
    assert await client.rest() == b""


async def test_an_older_client_that_keeps_its_connection(client: Client) -> None:
    """HTTP/1.0 has to be told that the connection goes on."""
    for _ in range(2):
        client.writer.write(b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n")
        first, headers, _ = await client.answer()
        assert (first, headers["connection"]) == ("HTTP/1.0 200 OK", "keep-alive")


async def test_head_gets_no_body(client: Client) -> None:
    """The answer to HEAD tells the length alone."""
    client.writer.write(b"HEAD /last HTTP/1.1\r\nHost: a\r\n\r\n")
    head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert (head.splitlines()[0], body) == (b"HTTP/1.1 200 OK", b"")


async def test_other_responses_of_the_handler(client: Client) -> None:
    """A response of aiohttp's is sent as aiohttp sends it, and a fault is answered and ends the connection."""
    client.post("full")
    assert (await client.answer())[2] == b"full"
    client.post("fault")
    assert (await client.answer())[0].startswith("HTTP/1.1 500 ")
    assert await client.rest() == b""


async def test_a_body_that_nobody_reads(client: Client) -> None:
    """The answer comes at once, the rest of the body is read, and the connection goes on."""
    client.writer.write(POST % (b"unread", 400_000, b"x" * 200_000))
    first, _, _ = await client.answer()
    assert first == "HTTP/1.1 413 Request Entity Too Large"
    client.writer.write(b"x" * 200_000)
    client.post("", b"next")
    assert (await client.answer())[2] == b"4"


async def test_what_is_not_http_ends_the_connection(client: Client, application: Application) -> None:
    """After good requests as well."""
    client.post("", b"good")
    await client.answer()
    client.writer.write(b"\x16\x03\x01 nothing of HTTP\r\n\r\n")
    assert b"HTTP/1.0 400" in await client.rest() or application.malformed == [400]
    assert application.malformed == [400]


async def test_a_client_that_is_gone_before_its_answer(
    listener: Listener, client: Client, application: Application
) -> None:
    """Nobody else notices."""
    client.post("held", b"gone")
    await client.writer.drain()
    await asyncio.sleep(0.02)
    client.writer.close()
    await asyncio.sleep(0.02)
    application.going_on.set()
    other = await Client.connect(listener)
    other.post("", b"other")
    assert (await other.answer())[2] == b"5"
    other.writer.close()
