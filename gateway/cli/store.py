"""Reading the inbox file from a command, which a running gateway may be serving meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from gateway.config import Config
from gateway.errors import ConfigError
from gateway.inbox.contract import Inbox
from gateway.inbox.sqlite import SqliteInbox

DAY_MS = 86_400_000

T = TypeVar("T")


def read(config: Config, ask: Callable[[Inbox], Awaitable[T]]) -> T:
    """Return what `ask` finds in the inbox. Raises ConfigError when there is no inbox file."""
    if not config.inbox_path.exists():
        raise ConfigError([f"{config.inbox_path}: there is no inbox yet; `gateway serve` makes it"])

    async def go() -> T:
        window = config.inbox.dedupe_window_days * DAY_MS
        inbox = SqliteInbox.open(config.inbox_path, dedupe_window_ms=window, read_only=True)
        try:
            return await ask(inbox)
        finally:
            await inbox.close()

    return asyncio.run(go())
