"""A listening socket with the limits aiohttp leaves out: header deadlines, wire bytes, a drain that fails nobody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import http_parser, web
from aiohttp.web_protocol import RequestHandler

from gateway.answers import RETRY_AFTER_SECONDS
from gateway.errors import ConfigError

KEEPALIVE_SECONDS = 75.0
LINGERING_SECONDS = 2.0
# How long nothing must have come before a connection is closed while stopping: a new one is there for a request.
QUIET_SECONDS = 0.05
QUIET_NEW_SECONDS = 0.5
BACKLOG = 1_024
MALFORMED = b'{"status":"rejected","reason":"request_malformed"}'
UNREAD = b'{"status":"unavailable","reason":"request_unread"}'
UNREAD_STATUS = 503
# What aiohttp's parser says where its own code failed on a piece, which it does for want of memory alone.
_OWN_FAILURE = "Span callback error"


OnMalformed = Callable[[int, str], None]
"""Told of each request that is not HTTP, or could not be read: the status it was answered with, the kind of fault."""


class DeadlineHandler(RequestHandler):
    """aiohttp's connection handler, closing connections whose request head does not arrive in time.

    aiohttp bounds the idle time between requests and nothing else; a head sent byte by byte would live for ever.
    """

    __slots__ = ("_active_at", "_head_seconds", "_head_timer", "_on_malformed")

    def __init__(self, manager: Any, *, head_seconds: float, on_malformed: OnMalformed, **options: Any) -> None:
        super().__init__(manager, **options)
        self._head_seconds = head_seconds
        self._on_malformed = on_malformed
        self._head_timer: asyncio.TimerHandle | None = None
        self._active_at = self._loop.time()

    @property
    def is_busy(self) -> bool:
        """Whether a request is being worked on, or may be on its way: something came just now."""
        if self._current_request is not None or self._messages:
            return True
        quiet = QUIET_SECONDS if self._request_count else QUIET_NEW_SECONDS
        return self._loop.time() - self._active_at < quiet

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the deadline of the first request's head."""
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        """End the deadline with the head, or start one with the first bytes of the next head."""
        super().data_received(data)
        self._active_at = self._loop.time()
        if self._messages or self._current_request is not None:
            if self._head_timer is not None:
                self._stop_timer()
        elif self._head_timer is None and self._waiter is not None and not self._waiter.done():
            self._start_timer()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 - as aiohttp calls it
        """Read on where reading was paused; aiohttp calls this twice a request, paused or not."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Forget the deadline."""
        self._stop_timer()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP with a label; aiohttp's own text repeats what was sent.

        What there was no memory to read is no fault of the client: it is to come again.
        """
        del message
        if request.writer.output_size > 0:
            raise ConnectionError
        body, headers = MALFORMED, {}
        if str(getattr(exc, "message", "")).startswith(_OWN_FAILURE):
            status, body, headers = UNREAD_STATUS, UNREAD, {"Retry-After": str(RETRY_AFTER_SECONDS)}
        self._on_malformed(status, type(exc).__name__)
        response = web.Response(status=status, body=body, headers=headers, content_type="application/json")
        response.force_close()
        return response

    def _start_timer(self) -> None:
        self._head_timer = self._loop.call_later(self._head_seconds, self._too_late)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_late(self) -> None:
        self._head_timer = None
        if self._current_request is None and not self._messages:
            self.force_close()


Handler = Callable[[web.BaseRequest], Awaitable[Any]]
"""What answers requests of every path and method with what the connection can send.

There are no routes of aiohttp's, whose search costs more than an answer.
"""


class Listener:
    """One aiohttp application, or one handler for all requests, on one address; `connection` serves each connection."""

    def __init__(
        self,
        application: web.Application | Handler,
        *,
        head_seconds: float = 10.0,
        on_malformed: OnMalformed = lambda _status, _kind: None,
        connection: type[DeadlineHandler] = DeadlineHandler,
    ) -> None:
        self._connection = connection
        self._options: dict[str, Any] = {
            "access_log": None,
            "auto_decompress": False,
            "keepalive_timeout": KEEPALIVE_SECONDS,
            "lingering_time": LINGERING_SECONDS,
            "logger": _silent_logger(),
        }
        self._application = application
        self._runner: web.AppRunner | web.ServerRunner
        self._handling: dict[str, Any] = {"head_seconds": head_seconds, "on_malformed": on_malformed}
        self._server: asyncio.Server | None = None
        self._socket: socket.socket | None = None
        self.port = 0

    async def start(self, host: str, port: int, given: socket.socket | None = None) -> None:
        """Listen, on the socket where one is given; port 0 takes a free one, which `port` tells.

        Raises ConfigError when the address is taken, or when aiohttp lacks its parser in C: the one in Python has had
        most of the request smuggling faults.
        """
        if not parses_in_c():
            raise ConfigError(["aiohttp runs without its C parser; install its wheel and unset AIOHTTP_NO_EXTENSIONS"])
        self._socket = given or bind(host, port)
        self._runner = self._make_runner()
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        try:
            self._server = await loop.create_server(self._make_handler, sock=self._socket, backlog=BACKLOG)
        except OSError as error:
            await self._runner.cleanup()
            self._socket.close()
            raise _taken(host, port, error) from error
        self.port = self._socket.getsockname()[1]

    async def stop(self, grace_seconds: float) -> None:
        """Accept no more connections, serve those there are until they are quiet or the time is up, close the rest."""
        if self._server is not None and self._socket is not None:
            await self._take_waiting(self._socket)
            self._server.close()
        if server := self._runner.server:
            loop = asyncio.get_running_loop()
            deadline = loop.time() + grace_seconds
            while _close_quiet(server.connections) and loop.time() < deadline:  # noqa: ASYNC110 - aiohttp signals nothing
                await asyncio.sleep(0.02)
        await self._runner.cleanup()

    def _make_runner(self) -> web.AppRunner | web.ServerRunner:
        options: dict[str, Any] = {"handle_signals": False, "shutdown_timeout": 1.0}
        if isinstance(self._application, web.Application):
            return web.AppRunner(self._application, **options, **self._options)
        return web.ServerRunner(web.Server(self._application, **self._options), **options)

    async def _take_waiting(self, listening: socket.socket) -> None:
        """Take the connections that the kernel has accepted already; closing the socket would reset them."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                connection.setblocking(False)
                await loop.connect_accepted_socket(self._make_handler, connection)

    def _make_handler(self) -> DeadlineHandler:
        server = self._runner.server
        if server is None:
            raise ConnectionAbortedError
        return self._connection(server, loop=asyncio.get_running_loop(), **self._handling, **self._options)


def parses_in_c() -> bool:
    """Tell whether aiohttp has its parser in C."""
    return http_parser.HttpRequestParser is not http_parser.HttpRequestParserPy


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """Return a socket that does not listen yet, on an address that others may listen on too where it is `shared`.

    The kernel spreads connections over those that listen. Raises ConfigError when the address is taken.
    https://man7.org/linux/man-pages/man7/socket.7.html, SO_REUSEPORT
    """
    with contextlib.ExitStack() as stack:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            bound = stack.enter_context(socket.socket(family, socket.SOCK_STREAM))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            bound.bind(address[:2])
        except OSError as error:
            raise _taken(host, port, error) from error
        bound.setblocking(False)
        stack.pop_all()
    return bound


def _taken(host: str, port: int, error: OSError) -> ConfigError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return ConfigError([f"cannot listen on {host}:{port}: {reason}; choose another host or port"])


def _close_quiet(connections: list[RequestHandler]) -> bool:
    """Close the connections on which nothing happens; tell whether there are others."""
    busy = [handler for handler in connections if isinstance(handler, DeadlineHandler) and handler.is_busy]
    for handler in connections:
        if handler not in busy:
            handler.close()
    return bool(busy)


def _silent_logger() -> logging.Logger:
    """Return a logger that writes nothing: aiohttp's lines hold whatever a stranger sent."""
    logger = logging.getLogger("aiohttp.gateway")
    logger.setLevel(logging.CRITICAL + 1)
    return logger
