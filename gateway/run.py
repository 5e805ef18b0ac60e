"""One gateway as a process: its signals, what runs beside it, who watches over it, and its exit code."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import uvloop

from gateway import threads
from gateway.app import Gateway
from gateway.beside import Part
from gateway.config import Config
from gateway.reload import Reloader
from gateway.systemd import Inlet, Supervisor
from gateway.telemetry import lines

HOUSEKEEPING_SECONDS = 1.0
LAST_LINES_SECONDS = 0.5
THREADS = 6
# Python looks for cycles among new objects whenever there are 700 more, which is a dozen parsed bodies.
NEW_OBJECTS = 10_000

Accompany = Callable[[Gateway, Reloader], Coroutine[Any, Any, int | None]]
"""What runs beside a started gateway and may reload it; the exit code it returns ends it, None lets it serve on."""


class Orders:
    """What a running gateway can be told to do. `stop` is set once it is to end."""

    def __init__(self, gateway: Gateway, reloader: Reloader, supervisor: Supervisor) -> None:
        self.stop = asyncio.Event()
        self.gateway = gateway
        self._reloader = reloader
        self._supervisor = supervisor
        self._reloads: set[asyncio.Task[bool]] = set()

    def drain(self, name: str) -> None:
        """Finish what is under way and end, as the signal of this name wants it; again changes nothing."""
        if not self.stop.is_set():
            self.gateway.log.draining(signal=name)
            self.stop.set()

    def cut_short(self, name: str) -> None:
        """End at once: what was acknowledged is on disk and leases run out, so nothing is lost."""
        self.gateway.log.cut_short(signal=name)
        lines.finish(LAST_LINES_SECONDS)
        os._exit(1)

    def reload(self) -> None:
        """Read the configuration again."""
        self._supervisor.reloading()
        task = asyncio.create_task(self._reloader.reload())
        self._reloads.add(task)
        task.add_done_callback(self._reloads.discard)
        task.add_done_callback(lambda _: self._supervisor.ready())


def heed_signals(orders: Orders) -> None:
    """Drain at SIGTERM or SIGINT, end at once at a second one, and reload at SIGHUP."""
    loop = asyncio.get_running_loop()

    def end(number: signal.Signals) -> None:
        (orders.cut_short if orders.stop.is_set() else orders.drain)(number.name)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    loop.add_signal_handler(signal.SIGHUP, orders.reload)


async def run(
    load: Callable[[], Config],
    accompany: Accompany,
    supervisor: Supervisor | None = None,
    sockets: Mapping[Inlet, socket.socket] | None = None,
    *,
    heed: Callable[[Orders], None] = heed_signals,
    part: Part | None = None,
) -> int:
    """Serve until what `heed` listens to orders the end; return the exit code.

    An inbox that failed for good, or a fault in a background task, ends it with code 1, so that a supervisor starts it
    anew on a store that is opened afresh.
    """
    asyncio.get_running_loop().set_default_executor(threads.pool(THREADS, "worker"))
    supervisor = supervisor or Supervisor({})
    gateway = Gateway(load(), sockets=sockets, part=part)
    await gateway.start()
    _collect_seldom()
    reloader = Reloader(gateway, load)
    orders = Orders(gateway, reloader, supervisor)
    heed(orders)
    supervisor.ready()
    alive = asyncio.create_task(supervisor.watch(lambda: gateway.inbox.settle([], gateway.clock.now())))
    companion = asyncio.create_task(accompany(gateway, reloader))
    try:
        code = await _watch(gateway, companion, orders.stop)
        supervisor.stopping()
        if code is None:
            await gateway.drain()
    finally:
        alive.cancel()
        companion.cancel()
        await gateway.stop()
    gateway.log.stopped()
    return code or 0


def run_on_uvloop(main: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine on uvloop; return its exit code."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def _collect_seldom() -> None:
    """Leave what was made until now out of the search for cycles, and search less often: each stands still for it."""
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)


async def _watch(gateway: Gateway, companion: asyncio.Task[int | None], stop: asyncio.Event) -> int | None:
    """Return the exit code once something ends the gateway: None for a signal."""
    while not await gateway.clock.wait(stop, HOUSEKEEPING_SECONDS):
        if gateway.inbox.failure or gateway.broken:
            return 1
        if companion.done() and (code := companion.result()) is not None:
            return code
    return None
