"""A ration per source: so many a minute, saved up to one minute's worth; the clock is an argument. Pure."""

from __future__ import annotations

MINUTE_MS = 60_000


class Ration:
    """Gives out at most `size` a minute for each source, all of them at once where none were taken for a minute."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._left: dict[str, tuple[float, int]] = {}

    def take(self, source: str, now: int) -> bool:
        """Take one of the source's ration at `now` (unix ms); tell whether there was one left."""
        left, at = self._left.get(source, (float(self.size), now))
        left = min(float(self.size), left + max(0, now - at) * self.size / MINUTE_MS)
        self._left[source] = (left - 1 if left >= 1 else left, now)
        return left >= 1
