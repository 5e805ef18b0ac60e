"""What a supervisor and a worker tell each other: lines of JSON over a pair of sockets, which close as either dies."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import orjson

MOST_BYTES = 16 * 1_048_576
FULL_BYTES = 1_048_576


def encode(message: dict[str, Any]) -> bytes:
    """Return a message as it is sent."""
    return orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE)


class Channel:
    """One end; sending never waits."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, end: socket.socket) -> Channel:
        """Return the channel over one socket of a pair, which it takes."""
        return cls(*await asyncio.open_unix_connection(sock=end, limit=MOST_BYTES))

    @property
    def is_full(self) -> bool:
        """Whether the other does not read any more, so that only orders are worth sending."""
        return self._writer.transport.get_write_buffer_size() > FULL_BYTES

    def tell(self, **message: Any) -> None:
        """Send a message; to an end that is closed nothing is sent."""
        if not self._writer.is_closing():
            self._writer.write(encode(message))

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """Yield what the other tells, until its end is closed."""
        with suppress(ConnectionError):
            while (line := await self._reader.readline()).endswith(b"\n"):
                yield orjson.loads(line)

    def close(self) -> None:
        """Close this end, which the other sees."""
        self._writer.close()
