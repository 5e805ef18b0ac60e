"""The listener's deadlines, and its drain."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from gateway.errors import ConfigError
from gateway.listener import Listener

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\n"
DEADLINE = 0.15


class Echo:
    """An application that reads the body, and waits where it is told to."""

    def __init__(self) -> None:
        self.hold = asyncio.Event()
        self.hold.set()
        self.entered = asyncio.Event()

    def application(self) -> web.Application:
        """Return the application."""
        app = web.Application()
        app.router.add_post("/", self.handle)
        return app

    async def handle(self, request: web.Request) -> web.Response:
        """Answer with the body's length."""
        body = await request.read()
        self.entered.set()
        await self.hold.wait()
        return web.Response(text=str(len(body)))


@pytest.fixture
async def echo() -> Echo:
    """Give the application."""
    return Echo()


@pytest.fixture
async def listener(echo: Echo) -> AsyncIterator[Listener]:
    """Give a listener with a short deadline for heads."""
    made = Listener(echo.application(), head_seconds=DEADLINE)
    await made.start("127.0.0.1", 0)
    yield made
    await made.stop(1)


async def connect(listener: Listener) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection."""
    return await asyncio.open_connection("127.0.0.1", listener.port)


async def until_closed(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the other side hangs up, which it must within a few seconds."""
    try:
        return await asyncio.wait_for(reader.read(), 3)
    except ConnectionResetError:
        return b""


@pytest.mark.parametrize("sent", [b"", b"POST", HEAD, HEAD + b"X: half"])
async def test_head_that_does_not_come(listener: Listener, sent: bytes) -> None:
    """A connection that is silent, or whose head stops anywhere, is closed."""
    reader, writer = await connect(listener)
    writer.write(sent)
    assert await until_closed(reader) == b""
    writer.close()


async def test_head_that_comes_byte_by_byte(listener: Listener) -> None:
    """The deadline is for the whole head, so a byte now and then does not keep the connection."""
    reader, writer = await connect(listener)
    closed = asyncio.create_task(until_closed(reader))
    for byte in HEAD + b"X: slow" * 20:
        if closed.done():
            break
        writer.write(bytes([byte]))
        await asyncio.sleep(DEADLINE / 10)
    assert await closed == b""
    writer.close()


async def test_second_head_has_its_own_deadline(listener: Listener) -> None:
    """After a request the connection may rest longer than the deadline, but the next head must come at once."""
    reader, writer = await connect(listener)
    writer.write(HEAD + b"Content-Length: 2\r\n\r\nab")
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(1) == b"2"
    await asyncio.sleep(DEADLINE * 2)
    writer.write(HEAD + b"Content-Length: 3\r\n\r\nabc")
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(1) == b"3"
    writer.write(HEAD)
    assert await until_closed(reader) == b""
    writer.close()


async def test_slow_body_is_not_the_heads_deadline(listener: Listener) -> None:
    """Once the head is complete, its deadline is over; the body has its own, set by whoever reads it."""
    reader, writer = await connect(listener)
    writer.write(HEAD + b"Content-Length: 4\r\n\r\nab")
    await asyncio.sleep(DEADLINE * 2)
    writer.write(b"cd")
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def test_slow_answer_is_not_the_heads_deadline(listener: Listener, echo: Echo) -> None:
    """A request that is being worked on is not cut off."""
    echo.hold.clear()
    reader, writer = await connect(listener)
    writer.write(HEAD + b"Content-Length: 0\r\n\r\n")
    await echo.entered.wait()
    await asyncio.sleep(DEADLINE * 2)
    echo.hold.set()
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    writer.close()


async def test_stop_lets_requests_finish(listener: Listener, echo: Echo) -> None:
    """Stopping refuses new connections at once, closes idle ones and waits for the requests under way."""
    echo.hold.clear()
    reader, writer = await connect(listener)
    idle, idle_writer = await connect(listener)
    writer.write(HEAD + b"Content-Length: 2\r\n\r\nab")
    await echo.entered.wait()
    stopping = asyncio.create_task(listener.stop(5))
    assert await until_closed(idle) == b""
    with pytest.raises(OSError, match=r"Connect call failed|refused"):
        await connect(listener)
    assert not stopping.done()
    echo.hold.set()
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    await stopping
    for each in (writer, idle_writer):
        each.close()


async def test_address_that_is_taken(listener: Listener, echo: Echo) -> None:
    """A port that another program has is a sentence that names it."""
    with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{listener.port}"):
        await Listener(echo.application()).start("127.0.0.1", listener.port)


def test_parser_in_python_is_refused() -> None:
    """Where aiohttp's parser in C is missing, nothing is served."""
    code = (
        "import asyncio\nfrom aiohttp import web\nfrom gateway.listener import Listener\n"
        "asyncio.run(Listener(web.Application()).start('127.0.0.1', 0))"
    )
    environ = {**os.environ, "AIOHTTP_NO_EXTENSIONS": "1"}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert "ConfigError: aiohttp runs without its C parser" in done.stderr
