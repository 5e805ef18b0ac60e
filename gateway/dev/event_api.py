"""The local event API: a real server that answers `POST /e/<key>` as Inngest's Dev Server does, and plays faults.

Behaviour observed of https://github.com/inngest/inngest (pkg/api, pkg/devserver). Known differences: a body that is
cut off by its sender stores nothing, and CORS is left out.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from gateway.dev import event_page
from gateway.dev.event_api_rules import InboundEvent, RefusedError, read_events
from gateway.dev.event_store import EventStore, StoredEvent
from gateway.dev.faults import Answer, Fault, Hang, Refuse, Reset, Truncate, WrongIds
from gateway.dev.go_json import dumps
from gateway.dev.kept import Kept

MAX_REQUEST_BYTES = 256 * 1024 * 1024
KEEP = 10_000
KEEP_BYTES = 64 * 1024 * 1024

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class RecordedRequest:
    """A POST to `/e/<key>`, without its key; `status` is None while, or because, it is not answered.

    `number` counts from 1, `received_at` is unix milliseconds, names of `headers` are lower case.
    """

    number: int
    received_at: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""
    status: int | None = None

    def header(self, name: str) -> str:
        """Return the first value of the header `name` (lower case); empty when there is none."""
        return next((value for key, value in self.headers if key == name), "")


def _now() -> int:
    return time.time_ns() // 1_000_000


class LocalEventApi:
    """An event API on this machine.

    `keys` None takes any key, as the Dev Server does; a set takes only those, as a self-hosted server does, and an
    empty one answers 503. `clock` gives unix milliseconds. At most `keep` events and requests of together
    `keep_bytes` each are remembered.

    `observe` is told of each event that was accepted, with the seed of its request.

    `answer_next(fault, ...)` scripts the answers to the next requests (None: a normal one); after those, `behave` is
    asked with the request's number and body.
    """

    def __init__(
        self,
        *,
        keys: set[str] | None = None,
        clock: Callable[[], int] = _now,
        keep: int = KEEP,
        keep_bytes: int = KEEP_BYTES,
    ) -> None:
        self.keys = keys
        self.behave: Callable[[int, bytes], Fault | None] | None = None
        self.observe: Callable[[StoredEvent, str], None] | None = None
        self._clock = clock
        self._store = EventStore(clock, keep, keep_bytes)
        self._requests: Kept[RecordedRequest] = Kept(keep, keep_bytes)
        self._numbers = itertools.count(1)
        self._script: deque[Fault | None] = deque()
        self._runner: web.AppRunner | None = None
        self._address = ("127.0.0.1", 0)
        self._stopping = asyncio.Event()
        self._changed = asyncio.Event()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen. Port 0 takes a free port at first and the same one again after a stop."""
        self._stopping.clear()
        app = web.Application(client_max_size=MAX_REQUEST_BYTES)
        app.router.add_route("*", "/{path:.*}", self._route)
        # The event API does not undo a Content-Encoding, and the URL in an access log would hold the key.
        runner = web.AppRunner(
            app, access_log=None, auto_decompress=False, handler_cancellation=True, shutdown_timeout=1.0
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port or self._address[1]).start()
        except OSError:
            await runner.cleanup()
            raise
        self._runner = runner
        self._address = (host, runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and cut what is open; events, requests and port are kept for another start."""
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner = None

    @property
    def url(self) -> str:
        """The base URL, without path and key."""
        host, port = self._address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def events(self) -> list[StoredEvent]:
        """The events accepted, in order of arrival."""
        return self._store.all()

    @property
    def requests(self) -> list[RecordedRequest]:
        """The requests to `/e/<key>`, in order of arrival."""
        return self._requests.items()

    @property
    def total_events(self) -> int:
        """How many events were ever accepted, those forgotten since included."""
        return self._store.total

    def runs(self) -> list[StoredEvent]:
        """Return the events that start a run: the first of each id within 24 hours."""
        return [event for event in self.events if event.starts_run]

    def answer_next(self, *faults: Fault | None) -> None:
        """Script the answers to the next requests, one each."""
        self._script.extend(faults)

    async def until(self, condition: Callable[[], bool], *, within: float = 10.0) -> None:
        """Wait until `condition` holds, looking whenever something arrived or was answered. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while not condition():
                await self._changed.wait()

    async def _route(self, request: web.Request) -> web.Response:
        path = request.rel_url.raw_path
        if path != "/" and path.endswith("/"):
            response = web.Response(status=303, headers={"Location": f"/{path.strip('/')}"})
        else:
            response = await self._dispatch(request, path)
        response.headers["X-Inngest-Server-Kind"] = "dev" if self.keys is None else "cloud"
        return response

    async def _dispatch(self, request: web.Request, path: str) -> web.Response:
        match (request.method, *path.split("/")[1:]):
            case "POST", "e", key:
                return await self._receive(request, unquote(key))
            case _, "e", _:
                return web.Response(status=405, headers={"Allow": "POST"})
            case "GET", "":
                return _page(event_page.render(self.events, self.total_events))
            case "GET", "events":
                return _json(200, {"total": self.total_events, "events": [_shown(event) for event in self.events]})
            case "GET", "health":
                return _json(200, {"status": 200, "message": "OK"})
        return web.Response()

    async def _receive(self, request: web.Request, key: str) -> web.Response:
        headers = tuple((name.lower(), value) for name, value in request.headers.items())
        record = RecordedRequest(next(self._numbers), self._clock(), headers)
        fault = self._script.popleft() if self._script else None
        if fault != Reset("unread"):
            record.body = await request.read()
        self._requests.append(record, len(record.body))
        if fault is None and self.behave is not None:
            fault = self.behave(record.number, record.body)
        response = await self._answer(record, key, fault)
        record.status = None if response is None else response.status
        self._notify()
        return _reset(request) if response is None else response

    async def _answer(self, record: RecordedRequest, key: str, fault: Fault | None) -> web.Response | None:
        """Return the answer, or None to reset the connection."""
        match fault:
            case Answer():
                return web.Response(status=fault.status, headers=fault.headers, body=fault.body)
            case Reset(when="unread" | "read"):
                return None
            case Hang(stored=False):
                await self._hang()
                return None
        if refusal := self._refuse_key(key):
            return refusal
        status, answer = self._accept(record, fault)
        match fault:
            case Reset():
                return None
            case Hang():
                await self._hang()
                return None
            case WrongIds():
                answer["ids"] = (answer["ids"] * fault.count)[: fault.count]
        body = dumps(answer) + b"\n"
        body = body[: len(body) // 2] if isinstance(fault, Truncate) else body
        return web.Response(status=status, body=body, content_type="text/plain", charset="utf-8")

    async def _hang(self) -> None:
        self._notify()
        await self._stopping.wait()

    def _refuse_key(self, key: str) -> web.Response | None:
        if self.keys is None or key in self.keys:
            return None
        if self.keys:
            return _json(401, {"status": 401, "message": "", "error": "Event key not found"})
        error = "Event keys are required to process events securely"
        return _json(503, {"status": 503, "message": "", "error": error})

    def _accept(self, record: RecordedRequest, fault: Fault | None) -> tuple[int, dict[str, Any]]:
        """Store the events up to the first that is refused; return the status and the answer."""
        ids: list[str] = []
        seed = record.header("x-inngest-event-id-seed")
        try:
            events = read_events(record.body, record.header("content-type"), record.received_at)
            for event in _up_to_refusal(events, fault):
                stored = self._store.add(event, seed=seed, index=len(ids) + 1, request=record.number)
                ids.append(stored.internal_id)
                if self.observe is not None:
                    self.observe(stored, seed)
        except RefusedError as refusal:
            return 400, {"ids": ids or [""], "status": 400, "error": str(refusal)}
        return 200, {"ids": ids or [""], "status": 200}

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def _up_to_refusal(events: Iterator[InboundEvent], fault: Fault | None) -> Iterator[InboundEvent]:
    for event in events:
        if isinstance(fault, Refuse) and fault.hits(event.id, event.name):
            raise RefusedError(fault.error)
        yield event


def _reset(request: web.Request) -> web.Response:
    """Close the connection with a TCP reset; the response returned goes nowhere."""
    if request.transport is not None:
        with socket.socket(fileno=os.dup(request.transport.get_extra_info("socket").fileno())) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        request.transport.abort()
    return web.Response()


def _page(html: str) -> web.Response:
    headers = {"Content-Security-Policy": event_page.POLICY, "Cache-Control": "no-store"}
    return web.Response(text=html, content_type="text/html", charset="utf-8", headers=headers)


def _json(status: int, value: Any) -> web.Response:
    return web.Response(status=status, body=dumps(value) + b"\n", content_type="application/json")


def _shown(event: StoredEvent) -> dict[str, Any]:
    return {field.name: getattr(event, field.name) for field in fields(event) if field.name != "raw"}
