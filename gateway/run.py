"""One gateway as a process: its signals, what runs beside it, who watches over it, and its exit code."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from gateway import threads
from gateway.app import Gateway
from gateway.config import Config
from gateway.reload import Reloader
from gateway.systemd import Inlet, Supervisor
from gateway.telemetry import lines

HOUSEKEEPING_SECONDS = 1.0
LAST_LINES_SECONDS = 0.5
THREADS = 6

Accompany = Callable[[Gateway, Reloader], Coroutine[Any, Any, int | None]]
"""What runs beside a started gateway and may reload it; the exit code it returns ends it, None lets it serve on."""


async def run(
    load: Callable[[], Config],
    accompany: Accompany,
    supervisor: Supervisor | None = None,
    sockets: Mapping[Inlet, socket.socket] | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT, reloading on SIGHUP; return the exit code.

    A second SIGTERM or SIGINT ends the process at once. An inbox that failed for good, or a fault in a background
    task, ends it with code 1, so that a supervisor starts it anew on a store that is opened afresh.
    """
    asyncio.get_running_loop().set_default_executor(threads.pool(THREADS, "worker"))
    supervisor = supervisor or Supervisor({})
    gateway = Gateway(load(), sockets=sockets)
    await gateway.start()
    stop = asyncio.Event()
    reloader = Reloader(gateway, load)
    _handle_signals(gateway, reloader, stop, supervisor)
    supervisor.ready()
    alive = asyncio.create_task(supervisor.watch(lambda: gateway.inbox.settle([], gateway.clock.now())))
    companion = asyncio.create_task(accompany(gateway, reloader))
    try:
        code = await _watch(gateway, companion, stop)
        supervisor.stopping()
        if code is None:
            await gateway.drain()
    finally:
        alive.cancel()
        companion.cancel()
        await gateway.stop()
    gateway.log.stopped()
    return code or 0


async def _watch(gateway: Gateway, companion: asyncio.Task[int | None], stop: asyncio.Event) -> int | None:
    """Return the exit code once something ends the gateway: None for a signal."""
    while not await gateway.clock.wait(stop, HOUSEKEEPING_SECONDS):
        if gateway.inbox.failure or gateway.broken:
            return 1
        if companion.done() and (code := companion.result()) is not None:
            return code
    return None


def _handle_signals(gateway: Gateway, reloader: Reloader, stop: asyncio.Event, supervisor: Supervisor) -> None:
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[bool]] = set()

    def end(number: signal.Signals) -> None:
        if stop.is_set():
            # What was acknowledged is on disk and leases run out, so nothing is lost by leaving at once.
            gateway.log.cut_short(signal=number.name)
            lines.finish(LAST_LINES_SECONDS)
            os._exit(1)
        gateway.log.draining(signal=number.name)
        stop.set()

    def start_reload() -> None:
        supervisor.reloading()
        task = asyncio.create_task(reloader.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)
        task.add_done_callback(lambda _: supervisor.ready())

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    loop.add_signal_handler(signal.SIGHUP, start_reload)
