"""Load without a client library: requests made in advance, sent over raw connections, so that little else is measured.

`closed` keeps a number of connections busy, which finds the capacity. `paced` sends at a fixed rate whatever the
answers do, and counts latency from the moment a request was due, so that a server that stands still is not spared
(https://www.scylladb.com/2021/04/22/on-coordinated-omission/).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

CLOSED_CONNECTIONS = 64
PACED_CONNECTIONS = 256
TICK_SECONDS = 0.001  # what uvloop counts in; it makes less into none


@dataclass(slots=True)
class Result:
    """What came of a load: the seconds it took, answers by status, and latencies in seconds."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        """Return the latency, in milliseconds, that this share of the requests did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000


async def closed(port: int, requests: Sequence[bytes], connections: int = CLOSED_CONNECTIONS) -> Result:
    """Send every request once, the next on a connection as soon as it has its answer."""
    load = _Load(port, len(requests))
    await load.connect(min(connections, len(requests)))
    begun = time.perf_counter()
    for request in requests:
        load.send(begun, request)
    return await load.end(begun)


async def paced(port: int, requests: Sequence[bytes], rate: float, connections: int = PACED_CONNECTIONS) -> Result:
    """Send the requests at a fixed rate, each on a connection that is free, or as soon as one is."""
    load = _Load(port, len(requests), open_model=True)
    await load.connect(connections)
    begun, sent = time.perf_counter(), 0
    while sent < len(requests):
        due = min(len(requests), int((time.perf_counter() - begun) * rate) + 1)
        for number in range(sent, due):
            load.send(begun + number / rate, requests[number])
        sent = due
        await asyncio.sleep(TICK_SECONDS)
    return await load.end(begun)


class _Load:
    """Connections, the requests that wait for one, and what has come of those that were sent."""

    def __init__(self, port: int, count: int, *, open_model: bool = False) -> None:
        self._port = port
        self._left = count
        self._open_model = open_model
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._free: deque[_Connection] = deque()
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._result = Result()

    async def connect(self, count: int) -> None:
        """Open the connections."""
        for _ in range(count):
            await self._open()

    def send(self, due: float, request: bytes) -> None:
        """Send a request now, or once a connection is free."""
        if self._free:
            self._free.popleft().send(due if self._open_model else time.perf_counter(), request)
        else:
            self._waiting.append((due, request))

    async def end(self, begun: float) -> Result:
        """Wait for the last answer; return what came of all."""
        await self._done
        self._result.seconds = time.perf_counter() - begun
        while self._free:
            self._free.popleft().close()
        return self._result

    def answered(self, connection: _Connection, status: int, seconds: float, *, closes: bool) -> None:
        """Count an answer and use its connection again, or another where the server closes this one."""
        self._result.statuses[status] += 1
        self._result.latencies.append(seconds)
        self._left -= 1
        if not self._left:
            self._done.set_result(None)
        if closes:
            connection.close()
            if self._left:
                task = asyncio.ensure_future(self._open())
                task.add_done_callback(self._opened)
        else:
            self._use(connection)

    def failed(self, fault: str) -> None:
        """End the load: a connection that is lost before its answer is nothing to measure."""
        if not self._done.done():
            self._done.set_exception(ConnectionError(fault))

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self._port)
        self._use(connection)

    def _opened(self, task: asyncio.Future[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self.failed(str(error))

    def _use(self, connection: _Connection) -> None:
        if self._waiting:
            due, request = self._waiting.popleft()
            connection.send(due if self._open_model else time.perf_counter(), request)
        else:
            self._free.append(connection)


class _Connection(asyncio.Protocol):
    """One connection: sends a request, and tells when its answer is whole."""

    _transport: asyncio.Transport

    def __init__(self, load: _Load) -> None:
        self._load = load
        self._since = 0.0
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._since:
            self._load.failed(f"a connection ended before its answer: {exc}")

    def send(self, since: float, request: bytes) -> None:
        self._since = since
        self._transport.write(request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        if (head := head_of(buffer)) is None or len(buffer) < head.size + head.length:
            self._buffer = buffer
            return
        since, self._since, self._buffer = self._since, 0.0, b""
        closes = b"\r\nconnection: close" in buffer[: head.size].lower()
        self._load.answered(self, int(buffer[9:12]), time.perf_counter() - since, closes=closes)


@dataclass(frozen=True, slots=True)
class Head:
    """The size of a message's head with its empty line, and the length of the body that follows."""

    size: int
    length: int


def head_of(buffer: Buffer) -> Head | None:
    """Return what the head of an HTTP message tells, or None where it is not whole yet."""
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    found = buffer[:end].lower().partition(b"\r\ncontent-length:")[2]
    return Head(end + 4, int(found.split(b"\r\n", 1)[0]) if found else 0)


Buffer = bytes | bytearray
