"""A worker: a gateway that takes its orders from its supervisor, and drains when that dies."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway.app import Gateway
from gateway.beside import Part
from gateway.clock import SystemClock
from gateway.config import Config
from gateway.give_up import Refusing
from gateway.handshake_effects import taught
from gateway.listener import bind
from gateway.refusals import Refusals
from gateway.reload import Reloader
from gateway.run import Orders, run
from gateway.systemd import Inlet, Supervisor
from gateway.workers.assignment import Assignment, adopt
from gateway.workers.channel import Channel

LOOPBACK = "127.0.0.1"
ORPHANED = "supervisor_lost"


async def work(
    assignment: Assignment, end: socket.socket, load: Callable[[], Config], environ: Mapping[str, str]
) -> int:
    """Serve as the worker of an assignment over its `end` of the channel; return the exit code.

    Raises GatewayError where it cannot start, as `gateway.run.run` does.
    """
    channel = await Channel.open(end)
    config = load()
    sockets: dict[Inlet, socket.socket] = {
        "server": _open(config, assignment),
        "admin": bind(LOOPBACK, 0),
    }
    channel.tell(admin=sockets["admin"].getsockname()[1])
    worker = _Worker(channel, Part(assignment.number, Refusals(None, SystemClock().wall, _relay(channel))))
    supervisor = Supervisor(environ, tell=lambda *lines: channel.tell(state=lines[0]))
    try:
        return await run(load, worker.accompany, supervisor, sockets, heed=worker.heed, part=worker.part)
    finally:
        await worker.close()


def _open(config: Config, assignment: Assignment) -> socket.socket:
    """Return the socket for webhooks: one that all workers listen on, or one of several of the same address."""
    if assignment.listening is not None:
        return adopt(assignment.listening)
    return bind(config.server.host, assignment.port, shared=True)


def _relay(channel: Channel) -> Callable[[str, str, int, str], None]:
    """Return what tells the supervisor of an answer that counts for the give-up clock, while it listens."""

    def tell(source: str, outcome: str, status: int, reason: str) -> None:
        if not channel.is_full:
            channel.tell(answered=[source, outcome, status, reason])

    return tell


class _Worker:
    """Does what the supervisor says."""

    def __init__(self, channel: Channel, part: Part) -> None:
        self.part = part
        self._channel = channel
        self._listening: asyncio.Task[None]

    def heed(self, orders: Orders) -> None:
        """Take orders from the supervisor. SIGTERM drains too, as a service manager may send it to all processes."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, orders.drain, signal.SIGTERM.name)
        orders.gateway.receiver.effects.on_learned = lambda at: self._channel.tell(learned=at)
        self._listening = asyncio.create_task(self._listen(orders))

    async def accompany(self, _: Gateway, __: Reloader) -> None:
        """Do nothing beside: the supervisor says where the gateway listens."""

    async def close(self) -> None:
        """Let the supervisor know that this ends."""
        if hasattr(self, "_listening"):
            self._listening.cancel()
        self._channel.close()

    async def _listen(self, orders: Orders) -> None:
        try:
            async for message in self._channel.messages():
                self._obey(orders, message)
        finally:
            orders.drain(ORPHANED)

    def _obey(self, orders: Orders, message: dict[str, Any]) -> None:
        match message:
            case {"drain": name}:
                orders.drain(name)
            case {"reload": _}:
                orders.reload()
            case {"refusing": records}:
                self.part.refusals.replace({source: Refusing(**record) for source, record in records.items()})
            case {"learned": at}:
                receiver = orders.gateway.receiver
                with suppress(OSError, ValueError):
                    receiver.sources = taught(receiver.sources, at, Path(at).read_text().strip())
