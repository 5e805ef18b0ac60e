"""What a gateway does once a minute: delete what retention no longer keeps; look after disk, secrets and refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.config import Config
from gateway.errors import InboxError
from gateway.inbox.contract import Inbox
from gateway.inbox.disk_space import SpaceLevel
from gateway.refusals import Refusals
from gateway.secret_watch import SecretWatch
from gateway.sources import Source
from gateway.telemetry.logs import Log
from gateway.telemetry.metrics import Metrics

DAY_MS = 86_400_000
EVERY_SECONDS = 60.0


@dataclass(slots=True)
class Housekeeping:
    """Keeps house for one gateway; `config` and `sources` tell what is in use now, which a reload changes."""

    inbox: Inbox
    refusals: Refusals
    config: Callable[[], Config]
    sources: Callable[[], Mapping[str, Source]]
    clock: Clock
    log: Log
    metrics: Metrics
    _level: SpaceLevel = field(default=SpaceLevel.OK, init=False)

    async def run(self) -> None:
        """Do it again and again; deleting goes in small steps, so that no intake waits for it."""
        never = asyncio.Event()
        secrets = SecretWatch(self.log, self.sources(), self.clock.wall())
        while True:
            await self.clock.wait(never, EVERY_SECONDS)
            self.watch_space()
            await asyncio.to_thread(self.refusals.save)
            self.metrics.give_up(self.refusals.seconds(self.sources()))
            secrets.look(self.sources(), self.clock.wall())
            await self._delete_old()

    def watch_space(self) -> None:
        """Say that the disk's space has come to another level."""
        space = self.inbox.space
        level = space.level if space else SpaceLevel.OK
        if level is not self._level:
            self.log.disk_space(level=level.name.lower(), left=str(space))
        self._level = level

    async def _delete_old(self) -> None:
        now = self.clock.now()
        bodies_before = now - self.config().inbox.retention_days * DAY_MS
        try:
            while await self.inbox.prune(bodies_before, now):
                pass
        except InboxError as error:
            self.log.forwarding_interrupted(reason=str(error))
