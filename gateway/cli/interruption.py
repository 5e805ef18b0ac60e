"""Ctrl-C, as commands that stop between two steps take it."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

INTERRUPTED = 130


@asynccontextmanager
async def ctrl_c() -> AsyncIterator[asyncio.Event]:
    """Give an event that the first Ctrl-C sets; the second one ends the command at once."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def stop_here() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        stop.set()

    loop.add_signal_handler(signal.SIGINT, stop_here)
    try:
        yield stop
    finally:
        loop.remove_signal_handler(signal.SIGINT)
