"""What the forwarder sends next: entries handed over as they were kept, in turn with those that wait on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from gateway.clock import Clock
from gateway.errors import InboxError
from gateway.hand_over import HandOver
from gateway.inbox.contract import LEASED_BYTES, Inbox
from gateway.inbox.intake import size_of
from gateway.model import Lease
from gateway.sender import Sender
from gateway.settle import unsent
from gateway.telemetry.logs import Log

# With nothing due it looks again after a while; soon at first where other gateways may have taken something in.
LEAST_IDLE_SECONDS, IDLE_SECONDS = 0.02, 0.5
# More than a step of a replay takes, so that one of these never closes the way in memory to others.
MOST_LEASED = 512
# A request costs as much as some twenty events do, so that while requests follow each other they wait for company.
GATHER_SECONDS, ENOUGH = 0.01, 64
# Slots that troubled sources may hold together, so that the others always have some.
SLOTS_APART = 2
# How long (ms) an entry that was handed over may wait for a slot: its lease runs already.
MOST_HANDED_MS = 10_000


class Supply:
    """Leases for the forwarder, one call at a time. `apart` are the troubled sources that hold a slot right now.

    `late` is set when entries come although the lane has failed, for them to be put back.

    The disk is looked at when something may wait there, and twice a second for what has become due. `handed` opens
    when a look finds no more than one lease takes, so that nothing that is older is left behind.
    """

    def __init__(
        self,
        inbox: Inbox,
        sender: Sender,
        apart: Collection[str],
        lease_ms: int,
        *,
        late: asyncio.Event,
        clock: Clock,
        log: Log,
    ) -> None:
        self._inbox = inbox
        self._sender = sender
        self._apart = apart
        self._clock = clock
        self._log = log
        self._most = MOST_LEASED
        self._arrived = asyncio.Event()
        self._late = late
        self._disk_is_next = True
        self._looked_at = 0
        self._taken_at = 0.0
        self._ended = False
        self.handed = HandOver(sender, self._note_taken, lease_ms)
        self._hands_over = inbox.hand_over_to(self.handed)
        self._idle = self._least_idle = IDLE_SECONDS if self._hands_over else LEAST_IDLE_SECONDS

    def look(self) -> None:
        """Tell that something may be due on disk."""
        self.handed.missed = True
        self._arrived.set()

    def note_kept(self) -> None:
        """Tell that a delivery was kept, which waits on disk where it was not handed over."""
        if self.handed.missed:
            self._arrived.set()

    async def wait(self) -> None:
        """Wait for something to send, or for as long as nothing may become due."""
        await self._clock.wait(self._arrived, self._idle)
        self._idle = min(self._idle * 2, IDLE_SECONDS)

    async def gather(self) -> None:
        """Wait a moment for company of what was handed over, where something was taken just now."""
        since = asyncio.get_running_loop().time() - self._taken_at
        if 0 < self.handed.waiting < ENOUGH and since < GATHER_SECONDS:
            await asyncio.sleep(GATHER_SECONDS - since)

    async def next(self) -> list[Lease]:
        """Return what may be sent now: while the lane is not healthy one entry, of an untroubled source if there is."""
        self._arrived.clear()
        if self._ended:
            return []
        if leases := await self._next():
            self._idle = self._least_idle
            self._taken_at = asyncio.get_running_loop().time()
        return leases

    async def _next(self) -> list[Lease]:
        now, handed = self._clock.now(), self.handed
        if self._sender.lane.state != "healthy":
            await self.put_back()
            return await self._look(now)
        missed = handed.missed and (self._disk_is_next or not handed.waiting)
        if missed or now - self._looked_at >= IDLE_SECONDS * 1000:
            return await self._look(now) or await self._take(now)
        self._disk_is_next = handed.missed
        return await self._take(now)

    async def end(self) -> None:
        """Take nothing more, and put back what was handed over."""
        self._ended = True
        self._inbox.hand_over_to(None)
        self._arrived.set()
        await self.put_back()

    async def put_back(self) -> None:
        """Let everything that was handed over wait on disk, as the lane is not healthy or all ends."""
        leases, _ = self.handed.first(self.handed.waiting)
        await self.give_back(leases)

    async def _look(self, now: int) -> list[Lease]:
        """Lease what waits on disk, and learn whether that was all."""
        self._disk_is_next, self._looked_at = False, now
        self.handed.missed = not self._hands_over
        healthy, most = self._sender.lane.state == "healthy", self._most_at_once()
        leases = await self._lease(most)
        all_of_it = leases is not None and len(leases) < most and _took_all(leases)
        self.handed.open = healthy and all_of_it
        self.handed.missed = self.handed.missed or not self.handed.open
        return leases or []

    async def _take(self, now: int) -> list[Lease]:
        """Return what was handed over and may be sent now; the rest waits on disk from then on."""
        leases, others = self.handed.first(self._most_at_once(), self._busy_apart())
        latest = now + self.handed.lease_ms - MOST_HANDED_MS
        fresh = [lease for lease in leases if lease.until >= latest]
        await self.give_back(others + [lease for lease in leases if lease.until < latest])
        return fresh

    async def give_back(self, leases: Sequence[Lease]) -> None:
        """Let leases wait on disk as if nobody had taken them."""
        if leases:
            self.handed.missed = True
            entries = [(lease, lease.entry) for lease in leases]
            back = [
                unsent(lease, due_at=entry.due_at, reason=entry.reason, frozen=entry.frozen) for lease, entry in entries
            ]
            await self._sender.settle(back)

    async def _lease(self, most: int) -> list[Lease] | None:
        """Lease what may be sent now; None where the inbox cannot tell."""
        try:
            if self._sender.lane.state == "healthy":
                return await self._lease_some(most, self._busy_apart())
            return await self._lease_some(1, self._sender.troubled()) or await self._lease_some(1, frozenset())
        except InboxError as error:
            self._log.forwarding_interrupted(reason=str(error))
            return None
        except MemoryError:
            self._most = max(1, self._most // 2)  # what was leased comes back when the lease expires
            reason = f"no memory for the bodies of {self._most * 2} entries; from now on leases take half as many"
            self._log.forwarding_interrupted(reason=reason)
            return None

    def _note_taken(self) -> None:
        self._arrived.set()
        if self._sender.lane.state != "healthy":
            self._late.set()

    async def _lease_some(self, limit: int, exclude: frozenset[str]) -> list[Lease]:
        return await self._inbox.lease(limit, self.handed.lease_ms, self._clock.now(), exclude)

    def _most_at_once(self) -> int:
        return min(self._sender.limits.events, self._most)

    def _busy_apart(self) -> frozenset[str]:
        """Return the sources to leave out: troubled ones that have their slot, or all where they have enough slots."""
        return self._sender.troubled() if len(self._apart) >= SLOTS_APART else frozenset(self._apart)


def _took_all(leases: Sequence[Lease]) -> bool:
    """Tell whether a lease of fewer entries than were asked for is of all there are."""
    if leases and leases[0].entry.frozen:
        return False
    return sum([size_of(lease.entry.delivery) for lease in leases]) < LEASED_BYTES
