"""Look, now and then, at what no event tells: what the inbox holds, its disk, the lane, how late the loop is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from gateway.clock import Clock
from gateway.errors import InboxError
from gateway.inbox.contract import Inbox
from gateway.inbox.sqlite import SqliteInbox
from gateway.sender import Sender
from gateway.telemetry.metrics import Metrics

LOOK_SECONDS = 15.0
# Counting a large inbox may take long; it has at most a twentieth of the reader's time.
SHARE = 20
LAG_SECONDS = 0.5
MINUTE_MS = 60_000


class Gauges:
    """Refreshes the gauges of `metrics`, until it is cancelled."""

    def __init__(
        self, metrics: Metrics, inbox: Inbox, sender: Sender, sources: Callable[[], Iterable[str]], clock: Clock
    ) -> None:
        self._metrics = metrics
        self._inbox = inbox
        self._sender = sender
        self._sources = sources
        self._clock = clock
        self._minute = clock.now() // MINUTE_MS

    async def run(self) -> None:
        """Look every fifteen seconds, and more seldom where that takes long."""
        loop, never = asyncio.get_running_loop(), asyncio.Event()
        while True:
            begun = loop.time()
            await self.look()
            await self._clock.wait(never, max(LOOK_SECONDS, (loop.time() - begun) * SHARE))

    async def look(self) -> None:
        """Look once. An inbox that cannot be asked keeps what was last seen of it, with the time of that."""
        self._metrics.forward.lane(self._sender.lane.state)
        self._metrics.forward.apart(self._sender.troubled())
        if space := self._inbox.space:
            self._metrics.inbox.space(space)
        if isinstance(self._inbox, SqliteInbox):
            self._metrics.inbox.wal(self._inbox.wal_bytes)
        if (minute := self._clock.now() // MINUTE_MS) != self._minute:
            self._minute = minute
            self._metrics.intake.end_minute()
        try:
            counts = await self._inbox.counts()
        except (InboxError, MemoryError):
            return
        self._metrics.inbox.counted(counts, self._sources(), self._clock.wall())


async def watch_loop(metrics: Metrics) -> None:
    """Measure how late the loop runs timers, until it is cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LAG_SECONDS
        await asyncio.sleep(LAG_SECONDS)
        metrics.loop_lag(loop.time() - due)
