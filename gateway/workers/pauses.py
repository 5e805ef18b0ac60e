"""How long to wait before a worker that died is started anew. Pure."""

from __future__ import annotations

LONG_SECONDS = 60.0
FIRST_SECONDS = 1.0
MOST_SECONDS = 30.0


class Pauses:
    """None after a worker that lived long, or for the first death; then twice as long each time, up to half a minute.

    So one that dies at its start does not keep the machine busy with starts.
    """

    def __init__(self) -> None:
        self._next = 0.0

    def after(self, lived_seconds: float) -> float:
        """Return the seconds to wait after a worker that lived so long."""
        if lived_seconds >= LONG_SECONDS:
            self._next = 0.0
        pause, self._next = self._next, min(MOST_SECONDS, max(FIRST_SECONDS, 2 * self._next))
        return pause
