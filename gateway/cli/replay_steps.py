"""Who takes the steps of a replay: the gateway that serves the inbox, or this command where none does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from gateway import build_inbox
from gateway.admin.query import to_document
from gateway.cli.asking import BrokenOff, Serving, serving
from gateway.cli.options import complain
from gateway.cli.store import DAY_MS, inbox_file
from gateway.clock import Clock, go_on
from gateway.config import Config
from gateway.errors import GatewayError, InboxLocked
from gateway.history import Query, Replayed
from gateway.inbox.contract import Inbox
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import ReplayMode


class StepFailed(GatewayError):
    """The gateway that serves the inbox did not take the step."""

    label = "replay_step_failed"


class Steps(Protocol):
    """Takes steps; `url` is the admin listener that is asked, empty where this command takes them itself."""

    @property
    def url(self) -> str:
        """The URL of the admin listener, or nothing."""
        ...

    async def step(self, query: Query) -> Replayed:
        """Take one step. Raises GatewayError."""
        ...


@asynccontextmanager
async def open_steps(config: Config, mode: ReplayMode, clock: Clock) -> AsyncIterator[Steps]:
    """Open the inbox, or find the gateway that serves it. Raises InboxLocked when that one cannot be asked."""
    inbox, served = await _open(config)
    if served:
        yield _OfGateway(served, mode)
    if inbox is None:
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


async def _open(config: Config) -> tuple[Inbox | None, Serving | None]:
    """Open the inbox, or return the gateway that serves it alone."""
    if config.inbox.shared:
        return await build_inbox.open_shared(config), None
    window = config.inbox.dedupe_window_days * DAY_MS
    path = inbox_file(config) or config.inbox_path
    try:
        return await asyncio.to_thread(SqliteInbox.open, path, dedupe_window_ms=window), None
    except InboxLocked as error:
        if served := serving(config):
            return None, served
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
    serving: Serving
    mode: ReplayMode

    @property
    def url(self) -> str:
        return self.serving.at.url

    async def step(self, query: Query) -> Replayed:
        request = {"query": to_document(query), "mode": self.mode, "limit": query.limit}
        try:
            answer = await asyncio.to_thread(self.serving.post, "/v1/replay", request)
        except BrokenOff as error:
            raise StepFailed(
                f"{error}, and the step may have been taken; look at `gateway deliveries` before you go on"
            ) from error
        return Replayed(answer["count"], answer["last_key"])
