"""A TCP proxy in front of PostgreSQL that cuts some connections in the middle of their COMMIT."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from contextlib import suppress

_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"  # a simple query: https://www.postgresql.org/docs/current/protocol-message-formats.html
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class CommitCutter:
    """Passes everything on to `target`, a port of this machine, but for a `share` of the COMMITs.

    Of those half never reach the server, and of the others the server's answer never reaches the client.
    """

    def __init__(self, target: int, *, seed: int) -> None:
        self.port = 0
        self.share = 0.0
        self.unsent = 0
        self.unanswered = 0
        self._target = target
        self._script: bool | None = None
        self._rng = random.Random(seed)
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut what is open."""
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def cut_next(self, *, answered: bool) -> None:
        """Cut the next COMMIT: before it reaches the server, or when the server has answered."""
        self._script = answered

    def _next(self, data: bytes) -> bool | None:
        """Say what to do with what the client sent: True and False as in `cut_next`, None to pass it on."""
        if not data.endswith(_COMMIT):
            return None
        if self._script is not None:
            cut, self._script = self._script, None
            return cut
        return self._rng.random() < 0.5 if self._rng.random() < self.share else None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                to_server = await asyncio.open_connection("127.0.0.1", self._target)
                try:
                    await self._pass_on((reader, writer), to_server)
                finally:
                    await _end(to_server[1])
        finally:
            await _end(writer)

    async def _pass_on(self, client: Ends, server: Ends) -> None:
        answers = asyncio.create_task(_pump(server[0], client[1]))
        try:
            while data := await client[0].read(65_536):
                cut = self._next(data)
                if cut is False:
                    self.unsent += 1
                    break
                if cut:
                    await _stop(answers)
                    server[1].write(data)
                    await server[0].read(1)  # the server has committed
                    self.unanswered += 1
                    break
                server[1].write(data)
                await server[1].drain()
        finally:
            await _stop(answers)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _end(writer: asyncio.StreamWriter) -> None:
    """Close with a TCP reset in place of an orderly end."""
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
