"""Waiting for what a thread does by itself."""

import asyncio
from collections.abc import Callable

import pytest


async def eventually(condition: Callable[[], bool]) -> None:
    """Return as soon as `condition` holds, and fail when it does not within ten seconds."""
    for _ in range(1_000):
        if condition():
            return
        await asyncio.sleep(0.01)
    pytest.fail("the condition did not come true within ten seconds")
