"""The forwarding loop: lease due entries, run their transforms, hand their events to the sender."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.batch import Member, Settled, oversize, pack, thaw
from gateway.clock import Clock
from gateway.errors import InboxError, TransformError
from gateway.inbox.contract import Inbox
from gateway.model import Lease, Settlement, Skip, State
from gateway.sender import Sender
from gateway.sources import Source
from gateway.telemetry.logs import Log
from gateway.transform import Runner

SLOTS = 4
IDLE_SECONDS = 0.5
UNKNOWN_SOURCE_DELAY_MS = 60_000


@dataclass(slots=True)
class Leasing:
    """How entries are leased: so many milliseconds, and which sources map them. A reload may change both."""

    duration_ms: int
    sources: Mapping[str, Source]


class Forwarder:
    """Forwards entries until it is told to stop, several leases at a time while the lane is healthy."""

    def __init__(self, inbox: Inbox, sender: Sender, leasing: Leasing, *, clock: Clock, log: Log) -> None:
        self._inbox = inbox
        self._sender = sender
        self._leasing = leasing
        self._clock = clock
        self._log = log
        self._runner = Runner()
        self._arrived = asyncio.Event()
        self._changed = asyncio.Event()
        self._stopping = False
        self._slots = asyncio.Semaphore(SLOTS)
        self._tasks: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Tell that an entry became due; this does not end a back-off or a pause."""
        self._arrived.set()

    def reconfigure(self, leasing: Leasing) -> None:
        """Take what a reload changed, and try at once even where the lane waits."""
        self._leasing = leasing
        self._sender.lane.probe_at_once()
        self._changed.set()
        self._arrived.set()

    async def run(self) -> None:
        """Lease and forward until `stop` is called."""
        lane = self._sender.lane
        while not self._stopping:
            if wait := lane.wait(self._clock.now()):
                await self._clock.wait(self._changed, wait)
                self._changed.clear()
                continue
            await self._slots.acquire()
            leases = await self._lease()
            if not leases:
                self._slots.release()
                await self._clock.wait(self._arrived, IDLE_SECONDS)
                continue
            task = self._start(leases)
            if lane.state != "healthy":
                await asyncio.wait([task])

    async def stop(self, grace_seconds: float) -> None:
        """Lease no more, give what is under way `grace_seconds`, then break it off and give its leases back."""
        self._stopping = True
        self._changed.set()
        self._arrived.set()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        await self._runner.close()

    async def _lease(self) -> list[Lease]:
        limit = self._sender.limits.events if self._sender.lane.state == "healthy" else 1
        self._arrived.clear()
        try:
            return await self._inbox.lease(limit, self._leasing.duration_ms, self._clock.now())
        except InboxError as error:
            self._log.forwarding_interrupted(reason=str(error))
            return []

    def _start(self, leases: list[Lease]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._forward(leases))
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._slots.release()
        if not task.cancelled() and (error := task.exception()):
            self._log.crashed(where="forward", error=error)

    async def _forward(self, leases: list[Lease]) -> None:
        """Send the entries of one lease: a frozen batch as it was, others after their transforms."""
        if frozen := thaw(leases):
            await self._sender.send(frozen)
            return
        members, settled = await self._transform(leases)
        await self._sender.settle(settled)
        for index, group in enumerate(groups := pack(members, self._sender.limits)):
            if index and self._sender.lane.state != "healthy":
                await self._sender.give_back([member.lease for late in groups[index:] for member in late])
                return
            await self._sender.send(self._sender.batch(group))

    async def _transform(self, leases: list[Lease]) -> tuple[list[Member], Settled]:
        """Run the transforms; return the entries with events, and what became of those without."""
        sources = self._leasing.sources
        known = [lease for lease in leases if lease.entry.delivery.source in sources]
        due_at = self._clock.now() + UNKNOWN_SOURCE_DELAY_MS
        settled: Settled = [
            (lease, Settlement(State.PENDING, reason="the configuration has no such source any more", due_at=due_at))
            for lease in leases
            if lease.entry.delivery.source not in sources
        ]
        mapped = await self._runner.run([(le.entry, sources[le.entry.delivery.source].mapper) for le in known])
        members = []
        for lease, result in zip(known, mapped, strict=True):
            match result:
                case Skip(reason=reason):
                    settled.append((lease, Settlement(State.SKIPPED, reason=reason)))
                case TransformError():
                    settled.append((lease, self._dead(lease, str(result))))
                case _ if fault := oversize(result.events, self._sender.limits):
                    settled.append((lease, self._dead(lease, fault)))
                case _:
                    members.append(Member(lease, result.events))
                    self._note_big_integers(lease, result.big_integers)
        return members, settled

    def _dead(self, lease: Lease, reason: str) -> Settlement:
        self._log.dead_letter(delivery=lease.entry.delivery, reason=reason)
        return Settlement(State.DEAD, reason=reason)

    def _note_big_integers(self, lease: Lease, count: int) -> None:
        if count and self._leasing.sources[lease.entry.delivery.source].mapper.big_integers == "number":
            self._log.big_integers(delivery=lease.entry.delivery, count=count)
