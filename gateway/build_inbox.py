"""Open the inbox that a configuration names."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from gateway import dedupe
from gateway.config import Config
from gateway.errors import InboxUnsupported
from gateway.inbox.contract import Inbox
from gateway.inbox.sqlite import SqliteInbox

if TYPE_CHECKING:
    from gateway.inbox.postgres import PostgresInbox


OnCommit = Callable[[float, int], None]
"""Told how many seconds a commit took, and how many operations shared it."""


async def open_serving(config: Config, on_commit: OnCommit) -> Inbox:
    """Open the inbox for a gateway; `on_commit` is told of each commit of one in SQLite.

    Raises InboxError, of which InboxUnsupported says what must be mended first.
    """
    if config.inbox.shared:
        return await _open_postgres(config, serving=True)
    return await asyncio.to_thread(
        SqliteInbox.open, config.inbox_path, dedupe_window_ms=_window_ms(config), on_commit=on_commit
    )


async def open_shared(config: Config) -> PostgresInbox:
    """Open an inbox that gateways may be serving meanwhile, to look at it and to replay. Raises InboxError."""
    return await _open_postgres(config, serving=False)


async def migrate(config: Config) -> int:
    """Make or upgrade the tables of an inbox in PostgreSQL; return how many steps that took. Raises InboxError."""
    return await _postgres().migrate(config.inbox.url, config.inbox.schema_name)


async def _open_postgres(config: Config, *, serving: bool) -> PostgresInbox:
    return await _postgres().open(
        config.inbox.url,
        dedupe_window_ms=_window_ms(config),
        schema=config.inbox.schema_name,
        serving=serving,
        migrate=config.inbox.migrate,
        connections=config.inbox.connections,
    )


def _postgres() -> type[PostgresInbox]:
    with needing_its_driver():
        from gateway.inbox.postgres import PostgresInbox  # noqa: PLC0415 - only where it is wanted
    return PostgresInbox


@contextlib.contextmanager
def needing_its_driver() -> Iterator[None]:
    """Say what to install where an import needs PostgreSQL's driver, which is there only where it is wanted."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "asyncpg":
            raise
        raise InboxUnsupported(
            "an inbox in PostgreSQL needs asyncpg; install it with pip install 'webhook-event-gateway[postgres]'"
        ) from None


def _window_ms(config: Config) -> int:
    return dedupe.remembered_ms(config.inbox.dedupe_window_days)
