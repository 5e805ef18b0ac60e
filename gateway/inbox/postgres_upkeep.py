"""What an inbox in PostgreSQL does without being asked: it follows the time, raises its floors and makes days ahead."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection

from gateway.errors import InboxError
from gateway.inbox import postgres_days
from gateway.inbox.postgres_connections import Connections, Terms
from gateway.inbox.postgres_floors import FloorGauge
from gateway.inbox.postgres_time import DatabaseTime

LOOK_SECONDS = 2.0

_LOOK = Terms(read_only=True)
_MAKE = Terms()


class Upkeep:
    """The upkeep of one process, every two seconds as far as the server serves."""

    def __init__(self, connections: Connections, time: DatabaseTime, floors: FloorGauge) -> None:
        self._connections = connections
        self._time = time
        self._floors = floors
        self._made: set[int] = set()
        self._task: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Make the days to come and go on from there; the time was read before. Raises InboxUnavailable."""
        await self._make_ahead()
        self._task = asyncio.create_task(self._go_on())

    async def end(self) -> None:
        """Stop; where it was never begun nothing happens."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def make(self, days: Collection[int], connections: Connections) -> None:
        """Make the partitions of days that this process has not seen. Raises InboxUnavailable."""
        if missing := set(days) - self._made:
            await connections.run(lambda db: postgres_days.make(db, missing), _MAKE)
            self._made |= missing

    async def _make_ahead(self) -> None:
        today = postgres_days.day_of(self._time.now())
        await self.make(range(today, today + postgres_days.DAYS_AHEAD + 1), self._connections)

    async def _go_on(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            with contextlib.suppress(InboxError, ValueError):
                await self._connections.run(self._time.read, _LOOK)
                await self._connections.run(lambda db: self._floors.raise_(db, self._time.now()), _LOOK)
                await self._make_ahead()
