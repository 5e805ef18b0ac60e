"""The time that all gateways of one PostgreSQL go by: its clock, followed without asking it each time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from gateway.inbox.postgres_connections import Connection

_READINGS = 8
_READ = """
SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint, (SELECT reached FROM timeline WHERE id = 1)
"""
# Once a second is enough.
_NOTE = "UPDATE timeline SET reached = $1::bigint WHERE id = 1 AND reached < $1::bigint - 1000"
NOTED_MS = 1_000
HOST_MS = 30_000
DATABASE_MS = 300_000


class DatabaseTime:
    """Unix milliseconds as the database tells them, or as far as any gateway has come where its clock is behind.

    It never goes back. `clock` tells monotonic seconds; of the last readings the quickest one counts.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.reached = 0
        self._clock = clock
        self._readings: deque[tuple[float, float]] = deque(maxlen=_READINGS)
        self._last = 0
        self._noted = 0

    def now(self) -> int:
        """Return the time; `read` was called before."""
        offset = min(self._readings)[1]
        self._last = max(self._last, int(self._clock() * 1000 + offset), self.reached)
        return self._last

    def differences(self, host: int) -> Iterator[str]:
        """Say where the database's clock is far from the host's (unix ms), or behind how far time has come."""
        _, offset = self._readings[-1]
        told = int(self._clock() * 1000 + offset)
        if abs(host - told) > HOST_MS:
            yield (
                f"this host's clock and the database's are {abs(host - told) / 1000:.0f} s apart: signatures are held "
                "against this host's, and everything else goes by the database's; check both"
            )
        if self.reached - told > DATABASE_MS:
            yield (
                f"the database's clock is {(self.reached - told) / 3_600_000:.1f} hours behind the time at which the "
                "inbox was last used; check it. Time goes on from the later one: nothing is held up or forgotten early"
            )

    async def read(self, connection: Connection) -> None:
        """Ask the database; the answer holds for some moment between the question and the answer."""
        asked = self._clock()
        told, self.reached = await connection.fetchrow(_READ)
        answered = self._clock()
        self._readings.append((answered - asked, told - (asked + answered) / 2 * 1000))

    async def note(self, connection: Connection, now: int) -> None:
        """Note in a transaction how far the time has come, so that no gateway starts before it."""
        if now > self._noted + NOTED_MS:
            await connection.execute(_NOTE, now)

    def has_noted(self, now: int) -> None:
        """Tell that a transaction in which `now` was noted is committed."""
        if now > self._noted + NOTED_MS:
            self._noted = now
