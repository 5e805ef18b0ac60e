"""The gateway as a process that can be killed at any await: real inbox, forwarder, sender and verification."""

from __future__ import annotations

import asyncio
import inspect
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from gateway import Event, Skip
from gateway.batch import Limits
from gateway.clock import go_on
from gateway.errors import InboxUnavailable
from gateway.forward import Forwarder, Leasing
from gateway.inbox.contract import Inbox
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import Delivery, Receipt, Request, State
from gateway.sender import Sender, Transport
from gateway.stamp import Mapper
from gateway.telemetry.logs import Log
from gateway.threaded import Item, Ran, untold
from gateway.transform import Mapped, Runner
from gateway.verify import verify
from tests.signed import source
from tests.simulation.oracle import Oracle, require
from tests.simulation.virtual_loop import ProcessClock, VirtualClock, running_loop

DAY = 86_400_000
REMEMBERED = 8 * DAY  # as the gateway does: a day more than the window
OUTSIDE = "outside"
LIMITS = Limits(request_bytes=4_096, event_bytes=4_000, events=20)
FAILPOINT_GRACE = 0.5


async def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make as many events as the payload says, or none, or fail."""
    document = delivery.json()
    if document["kind"] == "skip":
        return Skip("not wanted")
    if document["kind"] == "broken":
        raise ValueError("this transform cannot map it")
    return [Event(name="made", data={**document, "n": n}) for n in range(document["events"])]


class AtWork(Runner):
    """Runs transforms while no virtual time passes: their loop has a thread of its own."""

    async def run(self, items: Sequence[Item], patience: float = math.inf, ran: Ran = untold) -> list[Mapped]:
        """Return what became of each entry."""
        with running_loop().at_work():
            return await super().run(items, patience, ran)


class Listener:
    """A logger that writes nothing and tells the oracle of a fault of the gateway's own."""

    def __init__(self, oracle: Oracle) -> None:
        self._oracle = oracle

    def error(self, event: str, **fields: Any) -> None:
        """Take a line of level error."""
        if event == "crashed":
            self._oracle.broken.append(f"the gateway crashed: {fields['exc_info']!r}")

    def info(self, _event: str, **_fields: Any) -> None:
        """Take a line of level info."""

    warning = info


class Process:
    """One gateway over one inbox file. `kill` drops it where it stands; `start` begins anew on the same file."""

    def __init__(self, path: Path, clock: VirtualClock, oracle: Oracle, rng: random.Random) -> None:
        self.transport: Transport
        self.limits = LIMITS
        self.killed = asyncio.Event()
        self.alive = False
        self._path = path
        self._host = clock
        self._oracle = oracle
        self._rng = rng
        self._countdown = 0
        mapper = Mapper("acme", "simulation:transform", transform, "acme")
        self._source = replace(source("hmac", name="acme"), mapper=mapper)

    def start(self) -> None:
        """Open the inbox and forward."""
        self.alive, self._countdown = True, 0
        self.killed.clear()
        self.clock = ProcessClock(self._host)
        self._file = SqliteInbox.open(self._path, dedupe_window_ms=REMEMBERED)
        go_on(self.clock, self._file.reached)
        self._watched = _Watched(self._file, self)
        self.inbox = cast("Inbox", self._watched)
        log = Log(Listener(self._oracle))
        sender = Sender(self.inbox, self.transport, self.limits, clock=self.clock, rng=self._rng, log=log)
        leasing = Leasing(120_000, {"acme": self._source})
        self.forwarder = Forwarder(self.inbox, sender, leasing, clock=self.clock, log=log, runner=AtWork())
        self._running = asyncio.create_task(self.forwarder.run())

    async def receive(self, request: Request) -> Receipt:
        """Verify a request and keep it, as the HTTP edge does; raises what verification and inbox raise."""
        if not self.alive:
            raise InboxUnavailable("nobody listens")
        received = replace(request, received_at=self.clock.wall())
        delivery = verify(received, self._source, self.clock.wall())
        require(isinstance(delivery, Delivery), "a request of this simulation is no handshake")
        [receipt] = await self.inbox.put([cast("Delivery", delivery)], self.clock.now())
        self.forwarder.wake()
        return receipt

    async def stop(self) -> None:
        """Stop as SIGTERM does."""
        if self.alive:
            await self.forwarder.stop(10)
            await self._running
            await self._close()

    def kill_soon(self, points: int) -> None:
        """Let the process die at the n-th next await of consequence."""
        self._countdown = points

    async def point(self, _name: str) -> None:
        """Pass, or die here: nothing of this process gets further, and `killed` is set."""
        self._countdown -= 1
        if self._countdown == 0:
            self.alive = False
            self.killed.set()
        if not self.alive:
            await asyncio.Future()

    async def bury(self) -> None:
        """Drop every task of the dead process; nothing they do on the way reaches inbox or event API."""
        self.alive = False
        while tasks := [task for task in asyncio.all_tasks() if not task.get_name().startswith(OUTSIDE)]:
            for task in sorted(tasks, key=_age):
                task.cancel()
            await asyncio.wait(tasks, timeout=FAILPOINT_GRACE)
        await self._close()

    async def _close(self) -> None:
        self.alive = False
        await self._watched.finish()
        with running_loop().at_work():
            await self._file.close()

    def note(self, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        """Tell the oracle what is on disk now."""
        if name == "settle":
            for (lease, settlement), lost in zip(arguments[0], result, strict=True):
                if lost is None:
                    self._oracle.settle(lease, settlement)

    async def unfinished(self) -> int:
        """Return how many entries have not ended."""
        counts = await self.inbox.counts()
        return sum(states.get(s, 0) for states in counts.by_source.values() for s in (State.PENDING, State.LEASED))


def _age(task: asyncio.Task[Any]) -> tuple[int, str]:
    """Order tasks as they were made: their names are numbered, and a set of them has no order of its own."""
    return len(task.get_name()), task.get_name()


class _Watched:
    """The inbox, one operation at a time so that a seed always plays the same, each between two points of death."""

    def __init__(self, inbox: SqliteInbox, process: Process) -> None:
        self._inbox = inbox
        self._process = process
        self._turn = asyncio.Lock()
        self._under_way: set[asyncio.Task[Any]] = set()

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._inbox, name)
        if not inspect.iscoroutinefunction(attribute):
            return attribute

        async def perform(*arguments: Any, **options: Any) -> Any:
            await self._process.point(f"before {name}")
            task = asyncio.create_task(self._commit(name, arguments, options), name=f"{OUTSIDE}: disk")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            result = await asyncio.shield(task)
            await self._process.point(f"after {name}")
            return result

        return perform

    async def _commit(self, name: str, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Do what was handed to the disk, even where the process dies meanwhile."""
        async with self._turn:
            with running_loop().at_work():
                result = await getattr(self._inbox, name)(*arguments, **options)
        self._process.note(name, arguments, result)
        return result

    async def finish(self) -> None:
        """Wait for what the disk is doing."""
        await asyncio.gather(*self._under_way, return_exceptions=True)
