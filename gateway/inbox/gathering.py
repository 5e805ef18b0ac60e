"""Whether a commit waits a moment for others to share it: only where several come in that time, and not in vain."""

from __future__ import annotations

from collections.abc import Callable

# What a delivery costs falls by a fifth as a group of 16 becomes one of 32, and hardly beyond 64. PostgreSQL has the
# same as commit_delay and commit_siblings: https://www.postgresql.org/docs/current/runtime-config-wal.html
SECONDS = 0.001
SEVERAL = 3
ENOUGH = 64

# Operations come in bursts, as the loop takes requests and sends answers by turns: this long is many of them.
_MEASURED_SECONDS = 0.05

# Few senders who all wait for this commit send nothing meanwhile, so after some such waits many groups go at once.
_MOST_IN_VAIN = 4
_GROUPS_AT_ONCE = 32


class Gathering:
    """Measures how many operations come to one writer. `clock` tells monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._since = clock()
        self._counted = 0
        self._expected = 0.0
        self._in_vain = 0
        self._at_once = 0

    def is_worth_it(self, found: int) -> bool:
        """Tell whether to wait `SECONDS` for others to join the `found` operations that are there."""
        if self._expected < SEVERAL or found >= ENOUGH:
            return False
        self._at_once = max(0, self._at_once - 1)
        return not self._at_once

    def waited(self, found: int, then: int) -> None:
        """Note that a wait began with `found` operations and ended with so many."""
        self._in_vain = self._in_vain + 1 if then == found else 0
        if self._in_vain == _MOST_IN_VAIN:
            self._in_vain, self._at_once = 0, _GROUPS_AT_ONCE

    def gone(self, number: int) -> None:
        """Note that so many operations are about to be committed together."""
        self._counted += number
        if (measured := self._clock() - self._since) >= _MEASURED_SECONDS:
            self._expected = self._counted * SECONDS / measured
            self._since += measured
            self._counted = 0
