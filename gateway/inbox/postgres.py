"""The inbox in PostgreSQL, which several gateways share: each may take, forward and settle any entry."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from gateway.errors import InboxError, InboxUnavailable, LeaseLost
from gateway.failpoints import failpoint
from gateway.history import Activity, Counts, History, NamesSeen, Query, Replayed
from gateway.inbox import (
    postgres_activity,
    postgres_leases,
    postgres_prune,
    postgres_put,
    postgres_rates,
    postgres_schema,
    postgres_search,
    postgres_secrets,
    postgres_settle,
    postgres_walk,
    rate,
)
from gateway.inbox.contract import Taker
from gateway.inbox.disk_space import Space
from gateway.inbox.intake import Bounds
from gateway.inbox.postgres_connections import Connection, Connections, Terms
from gateway.inbox.postgres_days import day_of
from gateway.inbox.postgres_floors import FloorGauge
from gateway.inbox.postgres_intake import Intake
from gateway.inbox.postgres_put import Sent
from gateway.inbox.postgres_server import examine
from gateway.inbox.postgres_time import DatabaseTime
from gateway.inbox.postgres_upkeep import Upkeep
from gateway.model import Delivery, Entry, Lease, Receipt, ReplayMode, Settlement

T = TypeVar("T")

SCHEMA_NAME = "webhook_gateway"
CONNECTIONS = 8
# One for the commit of what is put and one to replace it where it broke, which no search can take.
INTAKE_CONNECTIONS = 2
PATIENCE_SECONDS = 1.0
# How long the rows of a day wait for the day to go as a whole: a day, and the time until the last of it is settled.
SLACK_MS = 26 * 3_600_000

_PUT = Terms(statement_ms=5_000)
# A lease that a crash undoes is only taken again; who had it finds that out when it settles.
_LEASE = Terms(durable=False, by_key=True)
_SETTLE = Terms(by_key=True)
_WRITE = Terms()
_READ = Terms(read_only=True)
_DROP = Terms(statement_ms=60_000, lock_ms=500)
_PRUNE = Terms(statement_ms=60_000)


class PostgresInbox:
    """The engine for many gateways; gateway/inbox/contract.py says what the methods promise."""

    failure: InboxError | None = None
    space: Space | None = None

    def __init__(self, intake: Connections, others: Connections, *, dedupe_window_ms: int, slack_ms: int) -> None:
        self.alarms: tuple[str, ...] = ()
        self.notes: tuple[str, ...] = ()
        self._for_intake = intake
        self._others = others
        self._dedupe_window_ms = dedupe_window_ms
        self._slack_ms = slack_ms
        self._time = DatabaseTime(time.monotonic)
        self._floors = FloorGauge()
        self._upkeep = Upkeep(others, self._time, self._floors)
        self._sources: set[str] = set()
        self._intake: Intake | None = None

    @classmethod
    async def open(
        cls,
        url: str,
        *,
        dedupe_window_ms: int,
        schema: str = SCHEMA_NAME,
        serving: bool = True,
        migrate: bool = True,
        connections: int = CONNECTIONS,
        bounds: Bounds | None = None,
        slack_ms: int = SLACK_MS,
    ) -> PostgresInbox:
        """Connect to the database that `url` names, and make or upgrade the tables unless told not to.

        What is not `serving` puts and migrates nothing. Raises InboxUnavailable when the server cannot be reached,
        InboxUnsupported when it, or its tables, cannot be used, and InboxOutdated when these are to be upgraded first.
        """
        intake = Connections(url, schema, size=INTAKE_CONNECTIONS, patience=PATIENCE_SECONDS)
        others = Connections(url, schema, size=max(2, connections - INTAKE_CONNECTIONS), patience=PATIENCE_SECONDS)
        inbox = cls(intake, others, dedupe_window_ms=dedupe_window_ms, slack_ms=slack_ms)
        try:
            await inbox._start(serving=serving, migrate=migrate, bounds=bounds or Bounds())
        except BaseException:
            await inbox.close()
            raise
        return inbox

    @staticmethod
    async def migrate(url: str, schema: str = SCHEMA_NAME) -> int:
        """Make or upgrade the tables; return how many steps that took. Raises InboxUnavailable, InboxUnsupported."""
        connections = Connections(url, schema, size=2, patience=PATIENCE_SECONDS)
        try:
            await connections.open()
            await connections.run(examine, _READ)
            return await postgres_schema.migrate(connections)
        finally:
            await connections.close()

    async def _start(self, *, serving: bool, migrate: bool, bounds: Bounds) -> None:
        await self._others.open()
        self.alarms, self.notes = await self._others.run(examine, _READ)
        if serving and migrate:
            await postgres_schema.migrate(self._others)
        await postgres_schema.require(self._others)
        await self._others.run(self._time.read, _READ)
        self.alarms = (*self.alarms, *self._time.differences(int(time.time() * 1_000)))
        if not serving:
            return
        await self._upkeep.begin()
        await self._for_intake.open()
        self._intake = Intake(self._keep, bounds=bounds, clock=time.monotonic)

    @property
    def reached(self) -> int:
        """The latest time (unix ms) that the tables were told before they were opened, 0 for new ones."""
        return self._time.reached

    @property
    def time(self) -> Callable[[], int]:
        """What tells the time (unix ms) that all gateways of this database go by."""
        return self._time.now

    def hand_over_to(self, taker: Taker | None) -> bool:
        """Hand nothing over, as any gateway may forward what another has kept: all entries wait to be leased."""
        del taker
        return False

    async def put(
        self, deliveries: Sequence[Delivery], now: int, window_ms: int | None = None, *, count_secrets: bool = False
    ) -> list[Receipt]:
        """Keep deliveries; durable before it returns."""
        if self._intake is None:
            raise InboxUnavailable("the inbox was not opened for serving")
        until = now + (window_ms or self._dedupe_window_ms)
        sent = [Sent(delivery, now, until) for delivery in deliveries]
        return await self._intake.put(sent, counted=count_secrets) if sent else []

    async def _keep(self, group: Sequence[tuple[Sent, bool]]) -> list[Receipt]:
        sent = [one for one, _ in group]
        counted = [one.delivery for one, counts in group if counts]
        await self._upkeep.make({day_of(one.now) for one in sent}, self._for_intake)
        if strangers := {one.delivery.source for one in sent} - self._sources:
            await self._for_intake.run(lambda db: postgres_put.name_sources(db, strangers), _WRITE)
            self._sources |= strangers

        async def keep(db: Connection) -> list[Receipt]:
            await postgres_secrets.count(db, counted)
            receipts = await postgres_put.put(db, sent)
            await self._time.note(db, now)
            failpoint("before_commit")
            return receipts

        now = max(one.now for one in sent)
        receipts = await self._for_intake.run(keep, _PUT)
        failpoint("after_commit")
        self._time.has_noted(now)
        self._floors.lower(min(one.now for one in sent))
        return receipts

    async def lease(
        self, limit: int, duration_ms: int, now: int, exclude: Collection[str] = frozenset()
    ) -> list[Lease]:
        """Lease due entries, oldest first, or one frozen batch."""
        token, until = secrets.token_hex(16), now + duration_ms
        terms = postgres_leases.Terms(limit, now, until, token, exclude)
        floors = self._floors.begin_lease()
        leased = await self._write(
            lambda db: postgres_leases.lease(db, terms, floors),
            now,
            _LEASE,
            changed=lambda found: bool(found.entries),
        )
        if not exclude:
            self._floors.end_lease(leased, now)
        self._floors.lower_leased(until)
        return [Lease(entry, token, until) for entry in leased.entries]

    async def settle(self, settlements: Sequence[tuple[Lease, Settlement]], now: int) -> list[LeaseLost | None]:
        """Record what became of leased entries."""
        answers = await self._write(lambda db: postgres_settle.settle(db, settlements, now), now, _SETTLE)
        self._floors.lower(min((s.due_at for _, s in settlements if s.due_at is not None), default=now))
        return answers

    async def search(self, query: Query) -> list[History]:
        """Find entries, newest first, without their bodies."""
        return await self._read(lambda db: postgres_search.search(db, query))

    async def get(self, key: int) -> History | None:
        """Return the life of one entry with its body, or None."""
        return await self._read(lambda db: postgres_search.get(db, key))

    async def stored(self, query: Query) -> list[Entry]:
        """Return the next entries that match and have their body, with it."""
        return await self._read(lambda db: postgres_walk.stored(db, query))

    async def count_stored(self, query: Query) -> int:
        """Count the entries that match and have their body."""
        return await self._read(lambda db: postgres_walk.count_stored(db, query))

    async def event_names(self, source: str, after: int, limit: int) -> NamesSeen:
        """Return the names of the events of the next entries."""
        return await self._read(lambda db: postgres_walk.event_names(db, source, after, limit))

    async def counts(self) -> Counts:
        """Count entries by source and state."""
        return await self._read(postgres_search.counts)

    async def activity(self, since: int, limit: int) -> Activity:
        """Tell what was received and settled lately, and what waits."""
        return await self._read(lambda db: postgres_activity.activity(db, since, limit))

    async def count(self, query: Query) -> int:
        """Count the entries that a replay of `query` would take."""
        return await self._read(lambda db: postgres_search.count(db, query))

    async def replay(self, query: Query, mode: ReplayMode, now: int) -> Replayed:
        """Make one step's settled entries pending again."""
        keys = await self._read(lambda db: postgres_search.replayable(db, query))
        if not keys:
            return Replayed(0, query.after)
        count = await self._write(lambda db: postgres_search.replay(db, keys, query, mode, now), now)
        self._floors.lower(now)
        return Replayed(count, keys[-1])

    async def reserve(self, name: str, count: int, per_second: float, now: int, patience_ms: int) -> int:
        """Reserve a share of a rate, in one row that all gateways of the database take from."""
        return await self._others.run(
            lambda db: postgres_rates.reserve(db, name, rate.cost(count, per_second), now, patience_ms), _LEASE
        )

    async def prune(self, bodies_before: int, now: int, limit: int = 1_000) -> int:
        """Take one step of retention: a whole day where nothing of it is needed, else rows that are long over."""
        limits = postgres_prune.Limits(bodies_before, now, limit, self._slack_ms)
        gone = 0
        with contextlib.suppress(InboxUnavailable):  # somebody reads the tables; the next time will do
            gone = await self._others.run(lambda db: postgres_prune.drop_days(db, limits), _DROP)
        return gone or await self._others.run(lambda db: postgres_prune.prune_rows(db, limits), _PRUNE)

    async def close(self) -> None:
        """Finish what was accepted and release the connections; a second call does nothing."""
        await self._upkeep.end()
        if self._intake:
            await self._intake.close()
        await asyncio.gather(self._for_intake.close(), self._others.close())

    async def _read(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        return await self._others.run(work, _READ)

    async def _write(
        self,
        work: Callable[[Connection], Awaitable[T]],
        now: int,
        terms: Terms = _WRITE,
        changed: Callable[[T], bool] = lambda _: True,
    ) -> T:
        """Do what is told `now`, and note that time where something was changed."""

        async def timed(db: Connection) -> T:
            result = await work(db)
            if changed(result):
                await self._time.note(db, now)
            return result

        result = await self._others.run(timed, terms)
        if changed(result):
            self._time.has_noted(now)
        return result
