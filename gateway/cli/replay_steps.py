"""Who takes the steps of a replay: the gateway that serves the inbox, or this command where none does."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlsplit

import orjson

from gateway import build_inbox
from gateway.admin import address
from gateway.admin.query import to_document
from gateway.cli.options import complain
from gateway.cli.store import DAY_MS, inbox_file
from gateway.clock import Clock, go_on
from gateway.config import Config
from gateway.errors import GatewayError, InboxLocked
from gateway.history import Query, Replayed
from gateway.inbox.contract import Inbox
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import ReplayMode

TIMEOUT_SECONDS = 30.0
ANSWER_LIMIT = 65_536


class StepFailed(GatewayError):
    """The gateway that serves the inbox did not take the step."""

    label = "replay_step_failed"


class Steps(Protocol):
    """Takes steps; `url` is the admin listener that is asked, empty where this command takes them itself."""

    url: str

    async def step(self, query: Query) -> Replayed:
        """Take one step. Raises GatewayError."""
        ...


@asynccontextmanager
async def open_steps(config: Config, mode: ReplayMode, clock: Clock) -> AsyncIterator[Steps]:
    """Open the inbox, or find the gateway that serves it. Raises InboxLocked when that one cannot be asked."""
    inbox, url = await _open(config)
    if inbox is None:
        yield _OfGateway(url, mode)
        return
    if inbox.time:
        now = inbox.time
    else:
        now = clock.now
        for alarm in (*inbox.alarms, *go_on(clock, inbox.reached)):
            complain(alarm, "red")
    try:
        yield _OfThisCommand(inbox, mode, now)
    finally:
        await inbox.close()


async def _open(config: Config) -> tuple[Inbox | None, str]:
    """Open the inbox, or return the URL of the gateway that serves it alone."""
    if config.inbox.shared:
        return await build_inbox.open_shared(config), ""
    window = config.inbox.dedupe_window_days * DAY_MS
    path = inbox_file(config) or config.inbox_path
    try:
        return await asyncio.to_thread(SqliteInbox.open, path, dedupe_window_ms=window), ""
    except InboxLocked as error:
        if url := address.read(path):
            return None, url
        raise InboxLocked(f"{error}; or try again when it has started, as it names no admin listener yet") from None


@dataclass(slots=True)
class _OfThisCommand:
    inbox: Inbox
    mode: ReplayMode
    now: Callable[[], int]
    url: str = ""

    async def step(self, query: Query) -> Replayed:
        return await self.inbox.replay(query, self.mode, self.now())


@dataclass(slots=True)
class _OfGateway:
    url: str
    mode: ReplayMode

    async def step(self, query: Query) -> Replayed:
        request = {"query": to_document(query), "mode": self.mode, "limit": query.limit}
        answer = await asyncio.to_thread(self._post, orjson.dumps(request))
        return Replayed(answer["count"], answer["last_key"])

    def _post(self, body: bytes) -> dict[str, Any]:
        where = urlsplit(self.url)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=TIMEOUT_SECONDS)
        try:
            connection.connect()
        except OSError as error:
            raise StepFailed(f"the gateway's admin listener does not answer at {self.url}: {_reason(error)}") from error
        try:
            connection.request("POST", "/v1/replay", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            answer = orjson.loads(response.read(ANSWER_LIMIT))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise StepFailed(
                f"the gateway's admin listener at {self.url} broke off a step, which may have been taken: "
                f"{_reason(error)}; look at `gateway deliveries` before you go on"
            ) from error
        finally:
            connection.close()
        if response.status != http.client.OK:
            raise StepFailed(f"the gateway's admin listener at {self.url} refused a step: {answer.get('detail')}")
        return dict(answer)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
