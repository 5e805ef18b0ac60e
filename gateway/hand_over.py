"""Entries on their way from the commit to the forwarder, in memory, so that nobody reads them back from disk."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence

from gateway.inbox.disk_space import MIB
from gateway.model import Delivery, Lease
from gateway.sender import Sender

MOST_ENTRIES = 1_024
MOST_BYTES = 4 * MIB


class HandOver:
    """The forwarder's `gateway.inbox.contract.Taker`: a bounded queue, and when it is open.

    It is open while nothing older waits on disk, so that entries go in about the order of their arrival, while the
    lane is healthy, and to sources that are not troubled. `missed` tells that an entry may wait on disk that the
    forwarder has not looked for; `on_taken` is called when there are entries to send.
    """

    def __init__(self, sender: Sender, on_taken: Callable[[], None], lease_ms: int) -> None:
        self.open = False
        self.missed = True
        self.lease_ms = lease_ms
        self._sender = sender
        self._on_taken = on_taken
        self._leases: deque[Lease] = deque()
        self._entries = 0  # with those that are not committed yet
        self._bytes = 0

    @property
    def waiting(self) -> int:
        """How many entries are here to be sent."""
        return len(self._leases)

    def expect(self, deliveries: Sequence[Delivery]) -> int:
        """Return for how long deliveries that are about to be kept may be leased, 0 where they are to wait on disk."""
        entries, size = self._entries, self._bytes
        fits = self.open and self._sender.lane.state == "healthy"
        for delivery in deliveries:
            entries, size = entries + 1, size + len(delivery.body)
            fits = fits and not self._sender.is_troubled(delivery.source)
        if not fits or entries > MOST_ENTRIES or size > MOST_BYTES:
            self.missed = True
            return 0
        self._entries, self._bytes = entries, size
        return self.lease_ms

    def take(self, deliveries: Sequence[Delivery], leases: Sequence[Lease]) -> None:
        """Take the leases of those expected deliveries that became entries: all, or none that could not be kept."""
        if len(leases) < len(deliveries):
            self._forget(deliveries)
            self._entries += len(leases)
            self._bytes += sum(len(lease.entry.delivery.body) for lease in leases)
        if leases:
            self._leases.extend(leases)
            self._on_taken()

    def first(self, most: int, exclude: Collection[str] = ()) -> tuple[list[Lease], list[Lease]]:
        """Remove the first `most` leases; return those to send, and those of sources in `exclude`."""
        taken = [self._leases.popleft() for _ in range(min(most, len(self._leases)))]
        self._forget([lease.entry.delivery for lease in taken])
        if not exclude:
            return taken, []
        kept = [lease for lease in taken if lease.entry.delivery.source not in exclude]
        return kept, [lease for lease in taken if lease.entry.delivery.source in exclude]

    def _forget(self, deliveries: Sequence[Delivery]) -> None:
        self._entries -= len(deliveries)
        self._bytes -= sum([len(delivery.body) for delivery in deliveries])
