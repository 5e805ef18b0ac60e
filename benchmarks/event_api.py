"""An event API that counts what it is sent, and costs next to nothing: `python -m benchmarks.event_api PORT`.

`POST /e/<key>` takes events as https://www.inngest.com/docs/events#send-events-via-http-event-api-directly has it,
`POST /held/e/<key>` refuses them as for a wrong key, so that whoever sends waits, until `GET /accept` ends that, and
`GET /count` tells how many came.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import uvloop

from benchmarks.load import head_of
from benchmarks.traffic import EVENT

REFUSED = b'HTTP/1.1 401 Unauthorized\r\nContent-Length: 31\r\n\r\n{"error":"Event key not found"}'


class Taken:
    """How many events came, and whether some are refused."""

    count = 0
    refuses = True


class Sender(asyncio.Protocol):
    """One connection of a sender."""

    _transport: asyncio.Transport

    def __init__(self, taken: Taken) -> None:
        self._taken = taken
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what answers are written to."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        buffer = self._buffer
        buffer += data
        while head := head_of(buffer):
            if len(buffer) < (whole := head.size + head.length):
                return
            self._transport.write(self._answer(bytes(buffer[:whole]), head.size))
            del buffer[:whole]

    def _answer(self, request: bytes, at: int) -> bytes:
        if request.startswith(b"GET /count"):
            return _ok(b"%d" % self._taken.count)
        if request.startswith(b"GET /accept"):
            self._taken.refuses = False
            return _ok(b"")
        if self._taken.refuses and b"/held/" in request[: request.index(b"\r\n")]:
            return REFUSED
        count = request.count(EVENT, at)
        first = self._taken.count
        self._taken.count += count
        ids = b",".join([b'"%d"' % number for number in range(first, first + count)])
        return _ok(b'{"ids":[%b],"status":200}' % ids)


def _ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def serve(port: int) -> None:
    """Serve until the process is ended."""
    taken = Taken()
    server = await asyncio.get_running_loop().create_server(lambda: Sender(taken), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
