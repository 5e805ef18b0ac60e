"""A TCP proxy in front of an HTTP server that spoils exchanges on purpose, one exchange a connection."""

from __future__ import annotations

import asyncio
import enum
import random
import re
import socket
import ssl
import struct
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_LENGTH = re.compile(rb"(?im)^content-length:[ \t]*(\d+)")


class Mode(enum.Enum):
    """What the proxy does to an exchange; whether the server saw the request is in brackets."""

    PASS = "pass"
    LATENCY = "latency"  # a pause on each way (seen)
    DRIP = "drip"  # the answer byte by byte (seen)
    RESET_AT_ONCE = "reset at once"  # before a byte was read (not seen)
    RESET_READ = "reset read"  # after the whole request was read (not seen)
    RESET_STORED = "reset stored"  # after the server answered, before a byte of it is passed on (seen)
    RESET_ANSWERING = "reset answering"  # after half of the answer (seen)
    BLACK_HOLE = "black hole"  # accepts, never reads, never answers (not seen)
    BLACK_HOLE_STORED = "black hole stored"  # reads, passes on, never answers (seen)
    HALF_CLOSE = "half close"  # ends its sending side without an answer, still reading (seen)
    TRUNCATION = "truncation"  # ends in good order after half of the answer (seen)


class ChaosProxy:
    """Stands in front of `target`, a port on this machine.

    `script` the modes of the next connections; after those each is drawn from `draw` by the seed.
    """

    def __init__(self, target: int, *, seed: int = 0, draw: Sequence[Mode] = (Mode.PASS,)) -> None:
        self.draw = draw
        self.port = 0
        self.seen: Counter[Mode] = Counter()
        self._target = target
        self.rng = random.Random(seed)
        self._script: deque[Mode] = deque()
        self._server: asyncio.Server
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The base URL to send to in place of the server's own."""
        return f"http://127.0.0.1:{self.port}"

    def script(self, *modes: Mode) -> None:
        """Set the modes of the next connections, one each."""
        self._script.extend(modes)

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        """Listen on a free port at first and on the same one again after a stop; over TLS where a context is given."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut what is open."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        mode = self._script.popleft() if self._script else self.rng.choice(self.draw)
        self.seen[mode] += 1
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                await self._play(mode, reader, writer)
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _play(self, mode: Mode, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if mode is Mode.RESET_AT_ONCE:
            return _reset(writer)
        if mode is Mode.BLACK_HOLE:
            return await _until_left(reader)
        request = await _read_message(reader)
        if mode is Mode.RESET_READ:
            return _reset(writer)
        await self._pause(mode)
        answer = await self._exchange(request)
        await self._pause(mode)
        await self._answer(mode, answer, reader, writer)
        return None

    async def _answer(
        self, mode: Mode, answer: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        half = answer[: (answer.index(b"\r\n\r\n") + 4 + len(answer)) // 2]
        match mode:
            case Mode.RESET_STORED:
                _reset(writer)
            case Mode.RESET_ANSWERING:
                await _write(writer, half)
                await asyncio.sleep(0.02)  # a reset that overtakes what was sent would be another mode
                _reset(writer)
            case Mode.BLACK_HOLE_STORED:
                await _until_left(reader)
            case Mode.HALF_CLOSE:
                writer.write_eof()
                await _until_left(reader)
            case Mode.TRUNCATION:
                await _write(writer, half)
            case Mode.DRIP:
                for byte in answer:
                    await _write(writer, bytes([byte]))
            case _:
                await _write(writer, answer)

    async def _pause(self, mode: Mode) -> None:
        if mode is Mode.LATENCY:
            await asyncio.sleep(self.rng.uniform(0.01, 0.05))

    async def _exchange(self, request: bytes) -> bytes:
        """Pass the request on over a connection of its own; return the whole answer."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await _write(writer, request)
            return await _read_message(reader)
        finally:
            writer.close()
            await writer.wait_closed()


async def _read_message(reader: asyncio.StreamReader) -> bytes:
    """Read the head of a request or an answer, and the body that its Content-Length announces."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head + await reader.readexactly(int(length[1]) if length else 0)


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


async def _until_left(reader: asyncio.StreamReader) -> None:
    while await reader.read(65_536):
        pass


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with a TCP reset in place of an orderly end."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.transport.abort()
