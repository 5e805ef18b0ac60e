"""A gateway of several workers on the tests' PostgreSQL, as an operator runs it."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from gateway.dev.event_api import LocalEventApi
from tests import postgres_schemas
from tests.exposition import Scrape
from tests.process import Process, post
from tests.signed import dumps, signed_headers
from tests.world import TOML

COUNT = 2


def write(folder: Path, event_api: LocalEventApi, more: str = "", server: str = "") -> Path:
    """Write a configuration whose inbox is in PostgreSQL: `more` keys of [inbox] and tables, and keys of [server]."""
    url, schema = postgres_schemas.of(folder)
    path = folder / "gateway.toml"
    text = TOML.format(url=event_api.url).replace("[server]\n", f"[server]\ndrain_seconds = 0.2\n{server}")
    path.write_text(f'{text}[inbox]\nurl = "{url}"\nschema_name = "{schema}"\nconnections = 4\n{more}')
    return path


class Several(Process):
    """The process of the supervisor, with the lines of all."""

    _names = itertools.count(1)

    def __init__(self, config: Path, module: str = "gateway", **environ: str) -> None:
        super().__init__(config, module, "--workers", str(COUNT), **environ)
        self.posted: list[str] = []

    @property
    def admin(self) -> str:
        """The URL of the admin listener."""
        return str(next(line["admin"] for line in self.lines if line.get("event") == "started"))

    @property
    def pids(self) -> dict[int, int]:
        """The newest process of each worker."""
        return {line["worker"]: line["pid"] for line in self.lines if line.get("event") == "worker_started"}

    def kill(self, pid: int) -> None:
        """Kill a worker."""
        os.kill(pid, signal.SIGKILL)

    def terminate(self, pid: int) -> None:
        """Tell a worker to end."""
        os.kill(pid, signal.SIGTERM)

    async def get(self, path: str) -> Any:
        """Return the document that the admin listener tells."""
        return (await self.ask("GET", path))[1]

    async def ask(self, method: str, path: str, document: Any = None, token: str = "") -> tuple[int, Any]:
        """Ask the admin listener; return the status and the document that it tells."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        asked = aiohttp.request(method, f"{self.admin}{path}", json=document, headers=headers)
        async with asked as answer:
            return answer.status, await answer.json()

    async def scrape(self) -> Scrape:
        """Return the metrics."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.admin}/metrics") as answer:
            return Scrape(await answer.text())

    async def post(self, session: aiohttp.ClientSession) -> int:
        """Post a delivery of a new name; return the status, and keep the name where it was acknowledged."""
        name = f"evt_{next(self._names)}"
        if (status := await post(session, self.port, name)) == 200:
            self.posted.append(name)
        return status

    async def post_of_type(self, kind: str) -> None:
        """Post a delivery of a type."""
        body = dumps({"id": f"evt_{next(self._names)}", "type": kind})
        headers = dict(signed_headers("hmac", body, at=time.time_ns() // 1_000_000))
        url = f"http://127.0.0.1:{self.port}/webhooks/acme"
        async with aiohttp.request("POST", url, data=body, headers=headers) as answer:
            assert answer.status == 200

    async def tampered(self, session: aiohttp.ClientSession) -> int:
        """Post what nobody signed; return the status."""
        body = dumps({"id": "evt_tampered", "type": "made"})
        headers = dict(signed_headers("hmac", body, at=time.time_ns() // 1_000_000))
        async with session.post(
            f"http://127.0.0.1:{self.port}/webhooks/acme", data=body + b" ", headers=headers
        ) as answer:
            return answer.status

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[dict[int, aiohttp.ClientSession]]:
        """Give a connection to each worker: the kernel spreads them, so open some until there is one."""
        sessions: list[aiohttp.ClientSession] = []
        found: dict[int, aiohttp.ClientSession] = {}
        try:
            while len(found) < COUNT:
                session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1))
                sessions.append(session)
                assert await self.post(session) == 200
                found[await self._worker_of(self.posted[-1])] = session
            yield found
        finally:
            for session in sessions:
                await session.close()

    async def _worker_of(self, name: str) -> int:
        async with asyncio.timeout(10):
            while True:
                for line in self.lines:
                    if line.get("event") == "request" and line.get("delivery_id") == name:
                        return int(line["worker"])
                self._changed.clear()
                await self._changed.wait()


class Witness:
    """Remembers the id of every event that the event API took, of however many."""

    def __init__(self, event_api: LocalEventApi) -> None:
        self._event_api = event_api
        self._seen: set[str] = set()
        event_api.observe = lambda event, _: self._seen.add(event.id)

    async def has_all(self, several: Several, within: float = 30.0) -> None:
        """Wait until everything that was acknowledged has arrived."""
        expected = {f"acme:{name}:made" for name in several.posted}
        await self._event_api.until(lambda: expected <= self._seen, within=within)
