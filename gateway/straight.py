"""Webhooks answered by the task of their connection, with heads written once; anything unusual is left to aiohttp.

aiohttp makes a task for each request, so that each has context variables of its own, and builds each head from a
dictionary. Both together cost as much as verifying a webhook does.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import HttpVersion11, StreamReader, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http import SERVER_SOFTWARE, RawRequestMessage
from aiohttp.http_writer import StreamWriter

from gateway.answers import Answer
from gateway.listener import DeadlineHandler

_END_OF_HEAD = f"Server: {SERVER_SOFTWARE}\r\nContent-Length: %d\r\nDate: %b\r\n\r\n%b".encode()


class Plain:
    """An answer that is no more than its head, in bytes up to what the server adds, and a body in memory."""

    __slots__ = ("answer", "body", "keep_alive")

    def __init__(self, answer: Answer, body: bytes) -> None:
        self.answer = answer
        self.body = body
        self.keep_alive = True

    @property
    def status(self) -> int:
        """The status."""
        return self.answer.status

    def force_close(self) -> None:
        """Let the connection end with this answer."""
        self.keep_alive = False

    def on_the_wire(self) -> bytes:
        """Return the response for a connection that goes on. https://www.rfc-editor.org/rfc/rfc9112."""
        return self.answer.head + _END_OF_HEAD % (len(self.body), rfc822_formatted_time().encode(), self.body)

    def in_full(self) -> web.Response:
        """Return the same as aiohttp has it, which knows what to say to every client."""
        headers = {**self.answer.headers, "Content-Type": self.answer.media_type} if self.body else self.answer.headers
        response = web.Response(status=self.answer.status, body=self.body, headers=headers)
        if not self.keep_alive:
            response.force_close()
        return response


class _Request(web.BaseRequest):
    """A request that finds what is rarely asked for when it is."""

    _client_max_size = 1_048_576
    _client_max_fields = 1_000

    def __init__(
        self, message: RawRequestMessage, payload: StreamReader, connection: StraightHandler, task: Any
    ) -> None:
        self._message = message
        self._payload = payload
        self._protocol = connection
        self._task = task
        self._headers = message.headers
        self._method = message.method
        self._version = message.version
        self._rel_url = message.url
        self._writer: StreamWriter | None = None
        self._cache = {}
        self._state = {}

    @property
    def _payload_writer(self) -> StreamWriter:  # type: ignore[override]
        if self._writer is None:
            self._writer = StreamWriter(self._protocol, self._loop)
        return self._writer

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:  # type: ignore[override]
        return self._task.get_loop()

    @property
    def _transport_peername(self) -> Any:  # type: ignore[override]
        return self._protocol.peername

    @property
    def _transport_sockname(self) -> Any:  # type: ignore[override]
        return self._protocol.sockname

    @property
    def _transport_sslcontext(self) -> Any:  # type: ignore[override]
        return self._protocol.ssl_context


class StraightHandler(DeadlineHandler):
    """A connection whose handler may return `Plain`."""

    __slots__ = ()

    async def start(self) -> None:
        """Answer one request after another, until the connection ends or something comes that is no plain request."""
        loop, handler = self._loop, self._request_handler
        while not self._force_close and handler is not None:
            if not self._messages:
                self._waiter = loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            message, payload = self._messages[0]
            if not isinstance(message, RawRequestMessage) or message.upgrade or message.url.absolute:
                await super().start()
                return
            self._take_first()
            if not await self._answers(message, payload, handler) or self._close or self._force_close:
                break
            self._next_keepalive_close_time = closes_at = loop.time() + self._keepalive_timeout
            if self._keepalive_handle is None:
                self._keepalive_handle = loop.call_at(closes_at, self._process_keepalive)
            if self._messages:
                await asyncio.sleep(0)  # others are to have their turn, however many requests came at once
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()

    async def finish_response(self, request: web.BaseRequest, resp: Any, start_time: float | None) -> tuple[Any, bool]:
        """Write an answer, and tell whether the connection was lost meanwhile."""
        if not isinstance(resp, Plain):
            return await super().finish_response(request, resp, start_time)
        goes_on = resp.keep_alive and request.keep_alive and request.version == HttpVersion11
        if not goes_on or not resp.body or request.method == "HEAD":
            return await super().finish_response(request, resp.in_full(), start_time)
        transport = self.transport
        if transport is None or transport.is_closing():
            return resp, True
        transport.write(resp.on_the_wire())
        if self._paused:
            await self._drain_helper()
        return resp, False

    def _take_first(self) -> None:
        """Take the first message off, and let the parser and the socket go on where they wait for that."""
        self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()

    async def _answers(self, message: RawRequestMessage, payload: StreamReader, handler: Any) -> bool:
        """Answer a request, and tell whether the connection may go on.

        The task is known here alone: held while the next request is awaited, it would be left to the garbage collector
        with each connection that ends.
        """
        request = _Request(message, payload, self, self._task_handler or asyncio.current_task(self._loop))
        try:
            response, lost = await self._handle_request(request, None, handler)
            self._keepalive = not lost and bool(response.keep_alive)
            if not lost and not payload.is_eof():
                await self._read_rest(payload)
        except ConnectionError:
            return False
        except Exception as error:  # noqa: BLE001 - as aiohttp has it: nothing may come of it but the end of the connection
            self.log_exception("Unhandled exception", exc_info=error)
            self.force_close()
            return False
        except BaseException:
            self.force_close()
            raise
        return self._keepalive

    async def _read_rest(self, payload: StreamReader) -> None:
        """Read for a while what is left of a refused body: a connection closed before that may lose the answer."""
        try:
            async with asyncio.timeout(self._lingering_time):
                while not (payload.is_eof() or self._force_close):
                    await payload.readany()
        except TimeoutError:
            self.close()
