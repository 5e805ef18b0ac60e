"""Several workers as a process: the addresses they share, the signals, and the exit code of all."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from gateway.admin import address
from gateway.admin.access import Access
from gateway.config import Config
from gateway.listener import Listener, bind
from gateway.systemd import Inlet
from gateway.systemd import Supervisor as Manager
from gateway.telemetry import lines
from gateway.workers.asking import Asking
from gateway.workers.child import Launch
from gateway.workers.front import Front
from gateway.workers.supervisor import Supervisor

LAST_LINES_SECONDS = 0.5
REQUEST_GRACE_SECONDS = 10.0

Announce = Callable[[int, int], None]
"""Says where webhooks are received and where the admin listener is, by their ports."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How many workers of a configuration are started, by which command, and how it is read again."""

    config: Config
    load: Callable[[], Config]
    count: int
    command: Sequence[str]


async def serve(plan: Plan, manager: Manager, sockets: Mapping[Inlet, socket.socket], announce: Announce) -> int:
    """Serve with several workers until SIGTERM or SIGINT; return the exit code.

    SIGHUP has all of them read the configuration again; a second SIGTERM or SIGINT ends everything at once. Raises
    GatewayError where an address is taken, or a worker cannot start for a reason that it knows.
    """
    config = plan.config
    async with AsyncExitStack() as stack:
        given = sockets.get("server")
        held = given or stack.enter_context(_reserve(config.server.host, config.server.port))
        port = held.getsockname()[1]
        supervisor = Supervisor(config, plan.load, plan.count, Launch(plan.command, port, given), manager)
        access, instance = Access(config.admin.host, config.admin.token_hash), secrets.token_hex(8)
        asking = Asking(supervisor.children)
        stack.push_async_callback(asking.close)
        listener = Listener(Front(supervisor, asking).application(access, instance))
        await listener.start(config.admin.host, config.admin.port, sockets.get("admin"))
        stack.push_async_callback(listener.stop, REQUEST_GRACE_SECONDS)
        stack.callback(address.remove, config.inbox_path)
        address.remove(config.inbox_path)

        def start() -> None:
            url = address.url(config.admin.host, listener.port)
            address.write(config.inbox_path, address.Address(url, instance))
            announce(port, listener.port)

        def take(changed: Config) -> None:
            access.token_hash = changed.admin.token_hash

        supervisor.on_started, supervisor.on_reloaded = start, take
        _heed_signals(supervisor)
        code = await supervisor.run()
    supervisor.log.stopped()
    return code


def _reserve(host: str, port: int) -> socket.socket:
    """Return a socket that keeps an address for the workers and takes no connection itself; raises ConfigError.

    One that another gateway's workers share is taken too, which the first try finds out.
    """
    with bind(host, port) as alone:
        port = alone.getsockname()[1]
    return bind(host, port, shared=True)


def _heed_signals(supervisor: Supervisor) -> None:
    loop = asyncio.get_running_loop()

    def end(number: signal.Signals) -> None:
        if supervisor.stop.is_set():
            supervisor.log.cut_short(signal=number.name)
            supervisor.kill()
            lines.finish(LAST_LINES_SECONDS)
            os._exit(1)
        supervisor.log.draining(signal=number.name)
        supervisor.drain(number.name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    loop.add_signal_handler(signal.SIGHUP, supervisor.reload)
