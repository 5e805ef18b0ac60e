"""Notice that files changed, by looking at them now and then."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress

State = dict[str, tuple[int, int, int]]


class Watch:
    """Files and folders, which may be others at each look."""

    def __init__(self, paths: Callable[[], Iterable[str]]) -> None:
        self._paths = paths
        self._state = self._look()

    def moved(self) -> bool:
        """Tell whether any was written, made or removed since the last look, or is new among them."""
        before, self._state = self._state, self._look()
        return before != self._state

    def _look(self) -> State:
        state = {}
        for path in self._paths():
            with suppress(OSError):
                found = os.stat(path)  # noqa: PTH116 - of many paths, often
                state[path] = (found.st_mtime_ns, found.st_size, found.st_ino)
        return state
