"""How long the writer takes for a group of operations, and how long one more operation would wait for its commit."""

from __future__ import annotations

from collections.abc import Callable

# A recent group weighs as much as the four before it together do: one slow fsync is forgotten within a dozen groups.
_WEIGHT = 0.2


class Pace:
    """The measured pace of one writer: `begin` and `end` on its thread, `wait` on any."""

    def __init__(self, clock: Callable[[], float], group_limit: int) -> None:
        self._clock = clock
        self._group_limit = group_limit
        self._usual = 0.0
        self._since: float | None = None

    def begin(self) -> None:
        """Note that a group, or a checkpoint between two of them, starts."""
        self._since = self._clock()

    def end(self) -> float:
        """Note that it is done; return the seconds it took."""
        if self._since is None:
            return 0.0
        took = self._clock() - self._since
        self._usual = self._usual + (took - self._usual) * _WEIGHT if self._usual else took
        self._since = None
        return took

    def wait(self, waiting: int) -> float:
        """Return the seconds after which an operation would be committed that comes now, behind `waiting` others.

        A group under way that takes longer than usual makes all of them longer. With nothing under way nobody waits,
        so that the pace of a disk that was slow is measured again.
        """
        since = self._since
        if since is None and not waiting:
            return 0.0
        under_way = 0.0 if since is None else self._clock() - since
        each = max(self._usual, under_way)
        rest = 0.0 if since is None else each - under_way
        return rest + (waiting // self._group_limit + 1) * each
