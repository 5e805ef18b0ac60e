"""Reading the inbox from a command, which a running gateway may be serving meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from gateway import build_inbox
from gateway.cli import running
from gateway.config import Config
from gateway.errors import ConfigError
from gateway.inbox.contract import Inbox
from gateway.inbox.sqlite import SqliteInbox

DAY_MS = 86_400_000

T = TypeVar("T")


def inbox_file(config: Config) -> Path | None:
    """Return the inbox's file, or the one of `gateway dev` in this folder where that alone exists, or None.

    An inbox in PostgreSQL is taken to be there; what is kept beside it here has that path.
    """
    if config.inbox.shared:
        return config.inbox_path
    return next((path for path in (config.inbox_path, running.INBOX) if path.exists()), None)


def inbox_name(config: Config) -> str:
    """Return where the inbox is, as people are told."""
    return config.inbox_name if config.inbox.shared else str(inbox_file(config))


def read(config: Config, ask: Callable[[Inbox], Awaitable[T]]) -> T:
    """Return what `ask` finds in the inbox. Raises ConfigError when there is no inbox file."""
    path = inbox_file(config)
    if path is None:
        raise ConfigError([f"{config.inbox_path}: there is no inbox yet; `gateway serve` or `gateway dev` makes it"])

    async def go() -> T:
        inbox: Inbox
        if config.inbox.shared:
            inbox = await build_inbox.open_shared(config)
        else:
            window = config.inbox.dedupe_window_days * DAY_MS
            inbox = SqliteInbox.open(path, dedupe_window_ms=window, read_only=True)
        try:
            return await ask(inbox)
        finally:
            await inbox.close()

    return asyncio.run(go())
