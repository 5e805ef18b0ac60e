"""Settings of the gateway, changed so that a round of milliseconds reaches what production reaches in hours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

from gateway import housekeeping
from gateway.inbox import sqlite_connection, sqlite_wal

Synchronous = Literal["FULL", "NORMAL"]

CHECKPOINT_PAGES = 200
PRUNE_EVERY_SECONDS = 0.15

NORMAL = 1


def hasten() -> None:
    """Checkpoint and prune often, for the rest of this process."""
    sqlite_wal.CHECKPOINT_PAGES = CHECKPOINT_PAGES
    housekeeping.EVERY_SECONDS = PRUNE_EVERY_SECONDS


@contextlib.contextmanager
def settings(*, checkpoint_pages: int, synchronous: Synchronous) -> Iterator[None]:
    """Open inboxes with these settings.

    FULL leaves synchronous as the gateway has it; NORMAL is what it must never do, to show that the suite notices.
    """
    pages, level = sqlite_wal.CHECKPOINT_PAGES, sqlite_connection.WRITER_SETTINGS["synchronous"]
    sqlite_wal.CHECKPOINT_PAGES = checkpoint_pages
    if synchronous == "NORMAL":
        sqlite_connection.WRITER_SETTINGS["synchronous"] = NORMAL
    try:
        yield
    finally:
        sqlite_wal.CHECKPOINT_PAGES = pages
        sqlite_connection.WRITER_SETTINGS["synchronous"] = level
