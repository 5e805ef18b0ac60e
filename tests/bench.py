"""A forwarder over a real inbox file and a local event API, at a time that the test tells."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from gateway import Event
from gateway.batch import Limits
from gateway.dev.event_api import LocalEventApi
from gateway.event_api import EventApi
from gateway.forward import Forwarder, Leasing
from gateway.history import History, Query
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import Delivery, State
from gateway.sender import Sender
from gateway.stamp import Mapper
from gateway.telemetry.logs import Log
from tests.manual_clock import ManualClock
from tests.signed import source

KEY = "canary"
DAY = 86_400_000
STEP_MS = 20_000


def transform(delivery: Delivery) -> list[Event]:
    """Make as many events as the payload says."""
    document = delivery.json()
    return [Event(name="made", data={**document, "n": n}) for n in range(document.get("events", 1))]


class Bench:
    """A forwarder over an inbox file and a local event API, or what `url` names in its place."""

    def __init__(self, folder: Path) -> None:
        self.clock = ManualClock()
        self.event_api = LocalEventApi(keys={KEY}, clock=self.clock.now)
        self.limits = Limits(request_bytes=524_288, event_bytes=524_288, events=1_000)
        self.key = KEY
        self.url = ""
        self.timeout_seconds = 5.0
        self.folder = folder
        self._rng = random.Random(7)  # of all lives, as two of them never make the same ids

    async def start(self) -> None:
        """Open the inbox and start forwarding, as a restart does."""
        self.inbox = self._open()
        self.transport = EventApi(self.url or self.event_api.url, self.key, timeout_seconds=self.timeout_seconds)
        rng, log = self._rng, Log()
        self.sender = Sender(self.inbox, self.transport, self.limits, clock=self.clock, rng=rng, log=log)
        mapper = Mapper("acme", "tests:transform", transform, "acme")
        self.leasing = Leasing(60_000, {"acme": replace(source("hmac", name="acme"), mapper=mapper)})
        self.forwarder = Forwarder(self.inbox, self.sender, self.leasing, clock=self.clock, log=log)
        self.running = asyncio.create_task(self.forwarder.run())

    async def stop(self) -> None:
        """Stop forwarding and close the inbox."""
        await self.forwarder.stop(1)
        await self.running
        await self.transport.close()
        await self.inbox.close()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[SqliteInbox]:
        """Give the inbox of a stopped bench, without a forwarder."""
        inbox = self._open()
        yield inbox
        await inbox.close()

    def _open(self) -> SqliteInbox:
        return SqliteInbox.open(self.folder / "inbox.db", dedupe_window_ms=7 * DAY)

    async def put(self, *names: str, **document: object) -> None:
        """Keep a delivery for each name."""
        deliveries = [
            Delivery(
                source="acme",
                provider="hmac",
                id=name,
                type="made",
                received_at=self.clock.now(),
                body=(body := json.dumps({"name": name, **document}).encode()),
                content=body,
            )
            for name in names
        ]
        await self.inbox.put(deliveries, self.clock.now())
        self.forwarder.note_kept()

    async def states(self) -> dict[str, State]:
        """Return the state of each delivery."""
        found = await self.inbox.search(Query(limit=10_000))
        return {history.entry.delivery.id: history.entry.state for history in found}

    async def history(self, name: str) -> History:
        """Return the life of a delivery."""
        [found] = await self.inbox.search(Query(id=name))
        history = await self.inbox.get(found.entry.key)
        assert history
        return history

    async def attempted(self, name: str) -> History:
        """Wait until a try to forward a delivery is on record, the clock standing still; return its life."""
        for _ in range(1_000):
            if (history := await self.history(name)).attempts:
                return history
            await asyncio.sleep(0.01)
        raise AssertionError(f"{name} was never tried")

    async def reach(self, **counts: int) -> None:
        """Wait, moving the clock in small steps, until so many entries are in each state."""
        for _ in range(400):
            found = Counter(str(state) for state in (await self.states()).values())
            if all(found[state] == count for state, count in counts.items()):
                return
            await asyncio.sleep(0.005)
            self.clock.advance(250)
        raise AssertionError(f"expected {counts}, found {found}, lane {self.sender.lane}")

    async def let_pass(self, milliseconds: int) -> None:
        """Move the clock far, in steps shorter than a lease: none runs out over a request that is on its way."""
        for _ in range(0, milliseconds, STEP_MS):
            self.clock.advance(STEP_MS)
            for _ in range(10_000):
                await asyncio.sleep(0.001)
                if State.LEASED not in (await self.states()).values():
                    break

    def arrivals(self) -> Counter[str]:
        """Return how often each event id arrived."""
        return Counter(event.id for event in self.event_api.events)


@asynccontextmanager
async def running_bench(folder: Path) -> AsyncIterator[Bench]:
    """Give a bench that forwards."""
    made = Bench(folder)
    await made.event_api.start()
    await made.start()
    yield made
    await made.stop()
    await made.event_api.stop()


def name_of(number: int) -> str:
    """Return the event id of the delivery `d<number>`."""
    return f"acme:d{number}:made"
