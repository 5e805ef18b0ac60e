"""Gateways as child processes of the fork server: started, signalled, waited for."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, Self

from gateway.torture.place import Place


class GatewayProcess:
    """One forked gateway. `port` and `code` are futures, of which `port` is cancelled where it ends before."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        loop = asyncio.get_running_loop()
        self.port: asyncio.Future[int] = loop.create_future()
        self.code: asyncio.Future[int] = loop.create_future()
        self._send = send

    def signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        self._send({"signal": number})

    async def ends(self, within: float) -> bool:
        """Wait for its end; tell whether it came in time (seconds)."""
        await asyncio.wait([self.code], timeout=within)
        return self.code.done()

    async def listens(self, within: float) -> bool:
        """Wait until it listens; tell whether it did in time (seconds) and before it ended."""
        await asyncio.wait([self.port, self.code], timeout=within, return_when=asyncio.FIRST_COMPLETED)
        return self.port.done() and not self.port.cancelled()


class Fleet:
    """The fork server and its gateways, for as long as the context is open."""

    def __init__(self) -> None:
        self._rounds = itertools.count(1)
        self._gateways: dict[int, GatewayProcess] = {}
        self._server: asyncio.subprocess.Process
        self._reader: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._server = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.torture.fork_server",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the harness, whose end is the fork server's end
        )  # fmt: skip
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server.stdin:
            self._server.stdin.close()
        await self._server.wait()
        await self._reader

    def start(self, place: Place, failpoints: str = "") -> GatewayProcess:
        """Start a gateway in a place, with failpoints armed."""
        number = next(self._rounds)

        def send(wanted: dict[str, Any]) -> None:
            if self._server.stdin:
                self._server.stdin.write(json.dumps({"round": number, **wanted}).encode() + b"\n")

        gateway = self._gateways[number] = GatewayProcess(send)
        send({"place": asdict(place), "failpoints": failpoints})
        return gateway

    async def _read(self) -> None:
        if self._server.stdout is None:
            return
        async for line in self._server.stdout:
            told = json.loads(line)
            gateway = self._gateways[told["round"]]
            match told["event"]:
                case "listening" if not gateway.port.done():
                    gateway.port.set_result(told["port"])
                case "ended":
                    gateway.port.cancel()
                    gateway.code.set_result(told["code"])
                    del self._gateways[told["round"]]
