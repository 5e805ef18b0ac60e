"""Ends what waits too long, with one timer for all that wait: a timer for each costs as much as all else of a wait."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Any


class HardStop:
    """A context in which the tasks of one loop wait for at most `seconds` each; it raises TimeoutError in those."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._since: dict[asyncio.Task[Any] | None, float] = {}  # oldest first
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> None:
        """Begin to wait."""
        loop = asyncio.get_running_loop()
        self._since[asyncio.current_task(loop)] = loop.time()
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._end_late, loop)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """End the wait. Raises TimeoutError where the time ended it, and nobody else cancelled the task too."""
        task = asyncio.current_task()
        if self._since.pop(task, None) is None and task and not task.uncancel() and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _end_late(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        for task, since in list(self._since.items()):
            if loop.time() < since + self._seconds:
                self._timer = loop.call_at(since + self._seconds, self._end_late, loop)
                return
            del self._since[task]
            if task:
                task.cancel()
