"""The forwarding loop: lease due entries, run their transforms, hand their events to the sender."""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from gateway.batch import Batch, Member, Settled, oversize, pack, thaw
from gateway.clock import Clock
from gateway.errors import TransformError, TransformStarved
from gateway.inbox.contract import Inbox
from gateway.model import Delivery, Entry, Lease, Settlement, Skip, State, TransformRun
from gateway.sender import Sender
from gateway.settle import unsent
from gateway.sources import Source
from gateway.supply import Supply
from gateway.telemetry.logs import Log
from gateway.transform import Mapper, Postponed, Runner, Stamped
from gateway.withheld import withhold

SLOTS = 4
# How long a transform may hold up the entries of other sources, before its source is sent apart from them.
PATIENCE_SECONDS = 0.1
# How long a thread that computes keeps the others waiting, which Python has at 5 ms, and a webhook changes threads a
# few times. Where nobody else's code runs beside ours, shorter turns only cost.
TURN_SECONDS, TURN_BESIDE_USERS_SECONDS = 0.005, 0.0005
UNKNOWN_SOURCE_DELAY_MS = 60_000
PUT_OFF_MS = 2_000
LARGE_BODY_BYTES = 4_096
# What finds no memory is tried again for a while, since another may have taken it, and then it is its own fault.
STARVED_MS = 600_000
STARVED_DELAY_MS = 2_000
MOST_STARVED = 10_000


@dataclass(slots=True)
class Leasing:
    """How entries are leased: so many milliseconds, and which sources map them. A reload may change both."""

    duration_ms: int
    sources: Mapping[str, Source]


class Forwarder:
    """Forwards entries until it is told to stop, several leases at a time while the lane is healthy.

    `runner` runs the transforms.
    """

    def __init__(
        self, inbox: Inbox, sender: Sender, leasing: Leasing, *, clock: Clock, log: Log, runner: Runner | None = None
    ) -> None:
        self._sender = sender
        self._leasing = leasing
        self._clock = clock
        self._log = log
        self._runner = runner or Runner()
        self._changed = asyncio.Event()
        self._stopping = False
        self._at_rest = asyncio.Event()
        self._at_rest.set()
        self._apart: set[str] = set()
        self._supply = Supply(inbox, sender, self._apart, leasing.duration_ms, late=self._changed, clock=clock, log=log)
        self._starved: dict[int, int] = {}  # since when, by key; the oldest are forgotten
        self._slots = asyncio.Semaphore(SLOTS)
        self._tasks: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Tell that an entry became due; this does not end a back-off or a pause."""
        self._supply.look()

    def note_kept(self) -> None:
        """Tell that a delivery was kept; one that was handed over is known already."""
        self._supply.note_kept()

    async def prepare(self, sources: Mapping[str, Source]) -> None:
        """Start the worker processes of sources that are about to be used. Raises TransformError."""
        mappers = [source.mapper for source in sources.values()]
        await self._runner.prepare(mappers)
        beside_users = any(mapper.computes_beside_us for mapper in mappers)
        sys.setswitchinterval(TURN_BESIDE_USERS_SECONDS if beside_users else TURN_SECONDS)

    def reconfigure(self, leasing: Leasing) -> None:
        """Take what a reload changed, and try at once even where the lane waits."""
        self._leasing = leasing
        self._supply.handed.lease_ms = leasing.duration_ms
        self._runner.keep(source.mapper for source in leasing.sources.values())
        self._sender.lane.probe_at_once()
        self._changed.set()
        self._supply.look()

    async def run(self) -> None:
        """Lease and forward until `stop` is called."""
        self._at_rest.clear()
        try:
            await self._run()
        finally:
            self._at_rest.set()

    async def _run(self) -> None:
        lane = self._sender.lane
        while not self._stopping:
            if wait := lane.wait(self._clock.now()):
                await self._supply.put_back()
                await self._clock.wait(self._changed, wait)
                self._changed.clear()
                continue
            await self._slots.acquire()
            await self._supply.gather()
            leases = await self._supply.next()
            if self._stopping:
                await self._supply.give_back(leases)
                break
            if not leases:
                self._slots.release()
                await self._supply.wait()
                continue
            if lane.wait(self._clock.now()):  # a request failed while these were leased
                self._slots.release()
                await self._supply.give_back(leases)
                continue
            task = self._start(leases)
            if lane.state != "healthy":
                await asyncio.wait([task])

    async def stop(self, grace_seconds: float) -> None:
        """Lease no more, give what is under way `grace_seconds`, then break it off and give its leases back."""
        self._stopping = True
        self._changed.set()
        await self._supply.end()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace_seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        with suppress(TimeoutError):  # what was being leased meanwhile is given back
            async with asyncio.timeout(grace_seconds):
                await self._at_rest.wait()
        await self._supply.put_back()
        await self._runner.close()

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
        """Send the entries of one lease: a frozen batch as it was, others after their transforms.

        Entries of troubled sources come after the others, each source apart, and hold one slot at most.
        """
        if frozen := thaw(leases):
            await self._send_again(frozen)
            return
        parts = self._parts(leases)
        for index, part in enumerate(parts):
            if index and self._sender.lane.state != "healthy":
                await self._sender.give_back([lease for late in parts[index:] for lease in late])
                return
            await self._send_part(part)

    def _parts(self, leases: list[Lease]) -> list[list[Lease]]:
        """Group leases: those of untroubled sources together, then each troubled source by itself."""
        parts: dict[str, list[Lease]] = {"": []}
        troubled = self._sender.troubled()
        for lease in leases:
            source = lease.entry.delivery.source
            parts.setdefault(source if source in troubled else "", []).append(lease)
        return [part for part in parts.values() if part]

    async def _send_part(self, leases: list[Lease]) -> None:
        """Map and send entries that may share requests."""
        source = leases[0].entry.delivery.source
        apart = source in self._sender.troubled()
        if apart:
            self._apart.add(source)
        try:
            members, settled = await self._transform(leases, math.inf if apart else PATIENCE_SECONDS)
            await self._sender.settle(settled)
            for index, group in enumerate(groups := pack(members, self._sender.limits)):
                if index and self._sender.lane.state != "healthy":
                    await self._sender.give_back([member.lease for late in groups[index:] for member in late])
                    return
                self._sender.budget.deposit()
                await self._sender.send(self._sender.batch(group))
        finally:
            if apart:
                self._apart.discard(source)

    async def _send_again(self, batch: Batch) -> None:
        """Send a frozen batch again where the retry budget allows; else put it off as it is."""
        now = self._clock.now()
        if self._sender.lane.state == "healthy" and not self._sender.budget.withdraw(now):
            put_off = [
                unsent(lease, due_at=now + PUT_OFF_MS, reason=lease.entry.reason, frozen=lease.entry.frozen)
                for lease in (member.lease for member in batch.members)
            ]
            await self._sender.settle(put_off)
            return
        await self._sender.send(batch)

    async def _transform(self, leases: list[Lease], patience: float) -> tuple[list[Member], Settled]:
        """Run the transforms; return the entries with events, and what became of those without."""
        sources = self._leasing.sources
        known = [lease for lease in leases if lease.entry.delivery.source in sources]
        due_at = self._clock.now() + UNKNOWN_SOURCE_DELAY_MS
        settled: Settled = [
            (lease, Settlement(State.PENDING, reason="the configuration has no such source any more", due_at=due_at))
            for lease in leases
            if lease.entry.delivery.source not in sources
        ]
        items = [(lease.entry, sources[lease.entry.delivery.source].mapper) for lease in known]
        runs: dict[int, TransformRun] = {}
        slow: set[str] = set()

        def ran(entry: Entry, mapper: Mapper, seconds: float) -> None:
            runs[entry.key] = TransformRun(mapper.reference, round(seconds * 1000, 3))
            if seconds > PATIENCE_SECONDS:
                slow.add(mapper.source)

        mapped = await self._runner.run(items, patience, ran)
        for source in slow:  # also one that is apart already, which so stays apart for as long as it is slow
            self._sender.set_apart(source)
        members = []
        for lease, result in zip(known, mapped, strict=True):
            if not isinstance(result, Stamped):
                settled.append(await self._unmapped(lease, result))
            elif fault := oversize(result.events, self._sender.limits):
                settled.append((lease, self._dead(lease, fault)))
            else:
                members.append(Member(lease, result.events, runs.get(lease.entry.key)))
                if result.big_integers:
                    self._note_big_integers(lease, result.big_integers)
        told = [(lease, replace(settlement, transform=runs.get(lease.entry.key))) for lease, settlement in settled]
        return members, told

    async def _unmapped(self, lease: Lease, result: Skip | TransformError | Postponed) -> tuple[Lease, Settlement]:
        """Say what becomes of an entry that its transform made no events of."""
        match result:
            case Skip(reason=reason):
                return lease, Settlement(State.SKIPPED, reason=reason)
            case TransformStarved() if self._may_be_fed(lease):
                return unsent(lease, due_at=self._clock.now() + STARVED_DELAY_MS, reason=str(result))
            case Postponed(source=source, reason=reason, delay_ms=delay_ms):
                self._sender.set_apart(source)
                return unsent(lease, due_at=self._clock.now() + delay_ms, reason=reason)
        return lease, self._dead(lease, await _told(result, lease.entry.delivery))

    def _may_be_fed(self, lease: Lease) -> bool:
        """Tell whether an entry whose transform found no memory is worth another try."""
        now = self._clock.now()
        since = self._starved.setdefault(lease.entry.key, now)
        if len(self._starved) > MOST_STARVED:
            del self._starved[next(iter(self._starved))]
        return now - since < STARVED_MS

    def _dead(self, lease: Lease, reason: str) -> Settlement:
        self._log.dead_letter(delivery=lease.entry.delivery, reason=reason)
        return Settlement(State.DEAD, reason=reason)

    def _note_big_integers(self, lease: Lease, count: int) -> None:
        if self._leasing.sources[lease.entry.delivery.source].mapper.big_integers == "number":
            self._log.big_integers(delivery=lease.entry.delivery, count=count)


async def _told(error: TransformError, delivery: Delivery) -> str:
    """Return what a transform's failure may be called; in a thread where reading the body would hold up others."""
    if len(delivery.content) > LARGE_BODY_BYTES:
        return await asyncio.to_thread(withhold, str(error), delivery)
    return withhold(str(error), delivery)
