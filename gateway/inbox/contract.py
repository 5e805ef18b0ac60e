"""What every inbox engine does; the contract suite in tests/inbox runs against each of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from gateway.errors import InboxError, LeaseLost
from gateway.history import Activity, Counts, History, NamesSeen, Query, Replayed
from gateway.inbox.disk_space import Space
from gateway.model import Delivery, Entry, Lease, Receipt, ReplayMode, Settlement

# The bodies of one lease are in memory at once, so it ends with the entry that comes to so many bytes.
LEASED_BYTES = 8 << 20


class Taker(Protocol):
    """A forwarder of this process that takes entries as they are kept, instead of leasing them afterwards."""

    def expect(self, deliveries: Sequence[Delivery]) -> int:
        """Return for how long (ms) deliveries about to be kept may be leased to it; 0 where they are to wait.

        Each answer but 0 is followed by one call of `take`.
        """
        ...

    def take(self, deliveries: Sequence[Delivery], leases: Sequence[Lease]) -> None:
        """Take what became of expected deliveries once it is durable: a lease for each that is a new entry.

        There is none for a re-send, nor for any of them where they could not be kept.
        """
        ...


class Inbox(Protocol):
    """A durable store of deliveries with their state. Times are unix milliseconds.

    Every method raises InboxUnavailable when the store cannot serve, with nothing changed.
    """

    @property
    def failure(self) -> InboxError | None:
        """What keeps the store from ever working again in this process; None while it works."""
        ...

    @property
    def alarms(self) -> tuple[str, ...]:
        """What was found wrong when the store was opened, a sentence each for the operator to read at once."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What the operator should know of how the store keeps deliveries, a sentence each."""
        ...

    @property
    def time(self) -> Callable[[], int] | None:
        """What tells the time (unix ms) that all gateways of one store go by; None where one gateway's clock does."""
        ...

    @property
    def reached(self) -> int:
        """The latest `now` that a change was told before the store was opened, to a second; 0 for a new store.

        Whoever uses the store goes on from there: a `now` before it would leave due entries waiting and let ids and
        bodies go out of turn.
        """
        ...

    @property
    def space(self) -> Space | None:
        """The space of the store's disk, at most a second old; None where the store has no disk of its own."""
        ...

    async def put(
        self, deliveries: Sequence[Delivery], now: int, window_ms: int | None = None, *, count_secrets: bool = False
    ) -> list[Receipt]:
        """Keep deliveries; durable before it returns.

        The same (source, delivery id), or the same (source, digest) where there is a digest, is a duplicate for as long
        as the dedupe window of the entry first stored lasts: nothing is stored again, neither the id nor the digest of
        the re-send is remembered, the re-send is counted, and the receipt names that entry, the older one where id and
        digest match two. The window of new entries is `window_ms`, the inbox's own where absent; they are due at `now`.
        With `count_secrets` the use of each delivery's secret is counted, re-sends included, for as long as bodies are
        kept.
        """
        ...

    def hand_over_to(self, taker: Taker | None) -> bool:
        """Let a forwarder take entries as they are kept, with their deliveries as they were put, or none any more.

        Tells whether the engine does that; one that does not need do nothing, and all entries wait to be leased.
        """
        ...

    async def lease(
        self, limit: int, duration_ms: int, now: int, exclude: Collection[str] = frozenset()
    ) -> list[Lease]:
        """Lease up to `limit` entries that are pending and due, or whose lease expired before `now`; oldest first.

        An engine of several gateways may give each source a share of a large `limit` in place of the very oldest.

        The members of a frozen batch are leased together or not at all, even where they exceed `limit`, and a call
        returns either one frozen batch, in the order of its positions, or entries that belong to none. Entries of
        the sources in `exclude` stay, and so does a frozen batch that holds one of them.
        """
        ...

    async def settle(self, settlements: Sequence[tuple[Lease, Settlement]], now: int) -> list[LeaseLost | None]:
        """Record what became of leased entries, all in one transaction.

        Returns one item per settlement: None, or LeaseLost where the lease is no longer held (expired and taken by
        another, or already settled); that settlement changes nothing and the others stand.
        """
        ...

    async def search(self, query: Query) -> list[History]:
        """Find entries, newest first, without their bodies, attempts and events filled in."""
        ...

    async def get(self, key: int) -> History | None:
        """Return the life of one entry with its body, or None."""
        ...

    async def stored(self, query: Query) -> list[Entry]:
        """Return entries that match and still have their body, with it, in ascending order of their keys.

        One call is one small step of at most `query.limit` entries, of which there may be fewer when bodies are large;
        the next one takes the last key as its `Query.after`, and an empty list is the end.
        """
        ...

    async def count_stored(self, query: Query) -> int:
        """Count the entries that match and still have their body, whatever the query's limit."""
        ...

    async def event_names(self, source: str, after: int, limit: int) -> NamesSeen:
        """Return the names of the events sent for the next `limit` entries after a key, of one source or of all.

        One call is one small step; what retention has taken is not seen.
        """
        ...

    async def counts(self) -> Counts:
        """Count entries by source and state."""
        ...

    async def activity(self, since: int, limit: int) -> Activity:
        """Tell what was received and settled at or after `since`, at most the newest `limit` of each, and what waits.

        `since` is compared with the times of receipt and of settlement. What was settled and has lost its body to
        retention may be left out.
        """
        ...

    async def count(self, query: Query) -> int:
        """Count the entries that a replay of `query` would take, whatever its limit."""
        ...

    async def replay(self, query: Query, mode: ReplayMode, now: int) -> Replayed:
        """Make settled entries that match and have their body pending again: `query.limit` at most, by ascending key.

        One call is one small step; Replayed says from which key the next one goes on.
        """
        ...

    async def reserve(self, name: str, count: int, per_second: float, now: int, patience_ms: int) -> int:
        """Reserve `count` of what all gateways of the store together may do `per_second`; return from when (unix ms).

        Nothing is reserved where that is later than `now` and `patience_ms`. Names are the caller's; what was reserved
        and not used is lost, and what a crash takes from the store may be done again.
        """
        ...

    async def prune(self, bodies_before: int, now: int, limit: int = 1_000) -> int:
        """Delete entries settled before `bodies_before`, and ids and digests whose window ended before `now`.

        Works in one small step of at most `limit` rows of each kind and returns how many rows went. An entry without
        its body stays until its window ends; pending and leased entries are never deleted.
        """
        ...

    async def close(self) -> None:
        """Finish what was accepted and release the store."""
        ...
