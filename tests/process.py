"""A gateway in a process of its own, as an operator runs it: started, signalled, killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import aiohttp

from tests.canaries import SECRETS
from tests.signed import dumps, signed_headers
from tests.world import ENVIRON

START_SECONDS = 20.0
STOP_SECONDS = 20.0

_children: list[asyncio.subprocess.Process] = []


def kill_all() -> None:
    """Kill what still runs, as it does where a test failed before it stopped its process."""
    while _children:
        if (child := _children.pop()).returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, signal.SIGKILL)


class Process:
    """`gateway serve` as a child process; `lines` are its log, `port` where it listens."""

    def __init__(self, config: Path, module: str = "gateway", *options: str, **environ: str) -> None:
        self.lines: list[dict[str, Any]] = []
        self.raw: list[str] = []
        self.port = 0
        self._config = config
        self._options = options
        self._module = module
        self._environ = {**os.environ, **ENVIRON, **environ, "PYTHONUNBUFFERED": "1"}
        self._child: asyncio.subprocess.Process
        self._reader: asyncio.Task[None]
        self._changed = asyncio.Event()
        self._starts = 0

    async def start(self) -> None:
        """Start it and wait until it listens."""
        self._child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", self._module, "serve", "--config", str(self._config), *self._options,
            env=self._environ, stderr=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        _children.append(self._child)
        self._reader = asyncio.create_task(self._read())
        self._starts += 1
        started = await self.line("started", count=self._starts, within=START_SECONDS)
        self.port = int(started["urls"][0].split(":")[2].split("/")[0])

    async def line(self, event: str, *, count: int = 1, within: float = 10.0) -> dict[str, Any]:
        """Wait for the `count`-th log line of an event; return it."""
        async with asyncio.timeout(within):
            while len(found := [line for line in self.lines if line.get("event") == event]) < count:
                self._changed.clear()
                await self._changed.wait()
        return found[count - 1]

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    def signal(self, number: signal.Signals) -> None:
        """Send the child a signal."""
        self._child.send_signal(number)

    async def wait(self) -> int:
        """Wait for the child's end; return its exit code. No secret may have come out until then."""
        async with asyncio.timeout(STOP_SECONDS):
            code = await self._child.wait()
            await self._reader
        assert SECRETS.found("".join(self.raw)) == []
        return code

    async def stop(self) -> int:
        """End the child, whatever state it is in; return its exit code."""
        if self._child.returncode is None:
            self.signal(signal.SIGTERM)
            try:
                return await self.wait()
            except TimeoutError:
                self.signal(signal.SIGKILL)
        return await self.wait()

    async def _read(self) -> None:
        if self._child.stderr is None:
            return
        async for raw in self._child.stderr:
            text = raw.decode()
            self.raw.append(text)
            if text.startswith("{"):
                self.lines.append(json.loads(text))
            self._changed.set()


async def post(session: aiohttp.ClientSession, port: int, name: str) -> int:
    """Post a genuine delivery to the source acme; return the status."""
    body = dumps({"id": name, "type": "made"})
    headers = signed_headers("hmac", body, at=time.time_ns() // 1_000_000)
    url = f"http://127.0.0.1:{port}/webhooks/acme"
    async with session.post(url, data=body, headers=dict(headers)) as response:
        return response.status
