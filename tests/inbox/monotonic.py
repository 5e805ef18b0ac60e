"""Monotonic seconds that pass when a test says so."""


class Monotonic:
    """A clock as `time.monotonic` is one, to be called."""

    def __init__(self) -> None:
        self._now = 100.0

    def __call__(self) -> float:
        """Return seconds."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += seconds
