"""Ends what waits too long, with one timer for all that wait: a timer for each costs as much as all else of a wait."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, TypeVar

T = TypeVar("T")


class HardStop:
    """Lets the tasks of one loop wait for at most `seconds` each."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[asyncio.Task[Any], float] = {}  # oldest first
        self._timer: asyncio.TimerHandle | None = None

    async def wait(self, task: asyncio.Task[Any], result: Awaitable[T]) -> T:
        """Wait for a result in the task that runs. Raises TimeoutError once the time is over.

        The task is told rather than asked for, which costs as much as the rest. Where others cancel it as well, it is
        cancelled.
        """
        loop = task.get_loop()
        self._since[task] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._end_late, loop)
        try:
            return await result
        except asyncio.CancelledError as error:
            if task not in self._since and not task.uncancel():
                raise TimeoutError from error
            raise
        finally:
            self._since.pop(task, None)

    def _end_late(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for task, since in list(self._since.items()):
            if loop.time() < since + self._seconds:
                self._timer = loop.call_at(since + self._seconds, self._end_late, loop)
                return
            del self._since[task]
            task.cancel()
