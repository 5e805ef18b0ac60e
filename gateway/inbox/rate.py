"""How a rate is kept by one number: from when on the next may be done. Pure.

https://en.wikipedia.org/wiki/Generic_cell_rate_algorithm
"""

from __future__ import annotations

MICROSECONDS = 1_000


def cost(count: int, per_second: float) -> int:
    """Return for how long (microseconds) `count` of something take up a rate."""
    return int(count * 1_000_000 / per_second)


def begins(free_at: int, now: int) -> int:
    """Return from when (microseconds) the next may be done, with the rate free from `free_at` and at `now` (ms)."""
    return max(free_at, now * MICROSECONDS)
