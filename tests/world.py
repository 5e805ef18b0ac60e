"""A gateway, a local event API and a client, on free ports in a folder of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from gateway.app import Gateway
from gateway.clock import Clock
from gateway.config import Config, load
from gateway.dev.event_api import LocalEventApi
from gateway.dev.event_store import StoredEvent
from gateway.history import History, Query
from gateway.model import State
from tests.signed import SECRETS, signed_headers

EVENT_KEY = "canary-event-key"

TOML = """
[server]
port = 0
[admin]
port = 0
[event_api]
url = "{url}"
key = "${{INNGEST_EVENT_KEY}}"
timeout_seconds = 5
[sources.stripe]
provider = "stripe"
secrets = ["${{STRIPE_WEBHOOK_SECRET}}"]
[sources.slack]
provider = "slack"
secrets = ["${{SLACK_SIGNING_SECRET}}"]
[sources.github]
provider = "github"
secrets = ["${{GITHUB_SECRET}}"]
[sources.shopify]
provider = "shopify"
secrets = ["${{SHOPIFY_SECRET}}"]
[sources.standard]
provider = "standard-webhooks"
secrets = ["${{STANDARD_SECRET}}"]
[sources.acme]
provider = "hmac"
secrets = ["${{ACME_SECRET}}"]
prefix = "acme"
[sources.acme.signature]
header = "X-Acme-Signature"
algorithm = "sha256"
encoding = "hex"
prefix = "sha256="
signed = "{{timestamp}}.{{body}}"
timestamp = "header:X-Acme-Timestamp"
tolerance_seconds = 300
[sources.acme.delivery]
id = "json:/id"
type = "json:/type"
time = "json:/created_at"
"""

ENVIRON = {
    "INNGEST_EVENT_KEY": EVENT_KEY,
    "STRIPE_WEBHOOK_SECRET": SECRETS["stripe"],
    "SLACK_SIGNING_SECRET": SECRETS["slack"],
    "GITHUB_SECRET": SECRETS["github"],
    "SHOPIFY_SECRET": SECRETS["shopify"],
    "STANDARD_SECRET": SECRETS["standard-webhooks"],
    "ACME_SECRET": SECRETS["hmac"],
}
PROVIDER_OF = {"standard": "standard-webhooks", "acme": "hmac"}


class World:
    """Everything of one test. `start` and `stop` may be called again: folder and inbox stay."""

    def __init__(self, folder: Path, event_api: LocalEventApi, session: aiohttp.ClientSession) -> None:
        self.folder = folder
        self.event_api = event_api
        self.gateway: Gateway
        self._session = session
        self._answers: list[str] = []

    def write_config(self, more: str = "") -> Path:
        """Write gateway.toml, with further tables at its end."""
        path = self.folder / "gateway.toml"
        path.write_text(TOML.format(url=self.event_api.url) + more)
        return path

    def config(self, more: str = "", **environ: str) -> Config:
        """Load the configuration, with other variables where given."""
        return load(self.write_config(more), {**ENVIRON, **environ})

    def read_config(self, **environ: str) -> Config:
        """Load the file as it stands."""
        return load(self.folder / "gateway.toml", {**ENVIRON, **environ})

    async def start(self, more: str = "", *, clock: Clock | None = None, **environ: str) -> None:
        """Start the gateway, on another clock where one is given."""
        self.write_config(more)
        await self.start_as_written(clock=clock, **environ)

    async def start_as_written(self, *, clock: Clock | None = None, **environ: str) -> None:
        """Start the gateway with the file as it stands."""
        self.gateway = Gateway(self.read_config(**environ), clock=clock)
        await self.gateway.start()

    async def stop(self) -> None:
        """Stop the gateway as SIGTERM does."""
        await self.gateway.stop()

    def url(self, source: str) -> str:
        """Return the URL of a source."""
        return f"http://127.0.0.1:{self.gateway.port}/webhooks/{source}"

    def told(self) -> str:
        """Return all answers to requests, and the metrics: where the gateway shows something of itself."""
        shown = self.gateway.metrics.exposition()[1].decode() if hasattr(self, "gateway") else ""
        return shown + "".join(self._answers)

    async def post(self, source: str, headers: Any, body: Any, **more: Any) -> tuple[int, str]:
        """Post a request to a source; return status and body."""
        options = {"headers": list(headers), "skip_auto_headers": ["Content-Type"], **more}
        async with self._session.post(self.url(source), data=body, **options) as response:
            self._answers.append(await response.text())
            return response.status, await response.text()

    async def ask(
        self, method: str, source: str, headers: Any = (), body: bytes = b"", query: str = ""
    ) -> tuple[int, str, CIMultiDictProxy[str]]:
        """Send a request of any method to a source; return status, body and headers."""
        options: Any = {"headers": list(headers), "skip_auto_headers": ["Content-Type"], "data": body or None}
        async with self._session.request(method, URL(self.url(source) + query, encoded=True), **options) as response:
            self._answers.append(f"{await response.text()}{response.headers}")
            return response.status, await response.text(), response.headers

    async def send(self, source: str, body: bytes, *more: tuple[str, str], at: int | None = None) -> tuple[int, str]:
        """Post a body as the source's provider signs it now, or at `at` (unix ms)."""
        moment = self.gateway.clock.wall() if at is None else at
        headers = signed_headers(PROVIDER_OF.get(source, source), body, at=moment)
        return await self.post(source, (*headers, *more), body)

    async def arrived(self, count: int, within: float = 10.0) -> list[StoredEvent]:
        """Wait until the event API has so many events; return them."""
        await self.event_api.until(lambda: len(self.event_api.events) >= count, within=within)
        return self.event_api.events

    async def settled(self, count: int, state: State = State.FORWARDED) -> list[History]:
        """Wait until so many entries are in a state; return them, newest first, with their bodies."""
        for _ in range(500):
            found = await self.gateway.inbox.search(Query(state=state))
            if len(found) >= count:
                return [history for match in found if (history := await self.gateway.inbox.get(match.entry.key))]
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{len(found)} of {count} entries are {state}")


@contextlib.asynccontextmanager
async def running_world(folder: Path) -> AsyncIterator[World]:
    """Give a world whose event API runs and whose gateway does not yet; stop both at the end."""
    event_api = LocalEventApi(keys={EVENT_KEY})
    await event_api.start()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session:
        world = World(folder, event_api, session)
        try:
            yield world
        finally:
            await session.close()  # first, as the gateway waits a moment for more on connections that were used
            if hasattr(world, "gateway"):
                await world.stop()
            await event_api.stop()
