"""The supervisor of several workers: starts them, starts the dead anew, and passes on what the operator wants."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gateway.clock import SystemClock
from gateway.config import Config
from gateway.errors import ConfigError, GatewayError
from gateway.systemd import Supervisor as Manager
from gateway.telemetry import metric_names as names
from gateway.telemetry.logs import Log
from gateway.telemetry.registry import Registry
from gateway.workers.child import Child, Ended, Launch
from gateway.workers.pauses import Pauses
from gateway.workers.shared_refusals import SharedRefusals

SAVE_SECONDS = 60.0
UNUSABLE = 2


class Supervisor:
    """Looks after `count` workers; `children` are they, and `manager` is the service manager that is told of the whole.

    `stop` is set once all are to end, and `over` when they have. `on_started` is called when all of them serve for the
    first time, and `on_reloaded` when a configuration without a fault was read again.
    """

    def __init__(
        self, config: Config, load: Callable[[], Config], count: int, launch: Launch, manager: Manager
    ) -> None:
        self.children = [Child(number, launch, self._hear) for number in range(1, count + 1)]
        self.stop = asyncio.Event()
        self.over = asyncio.Event()
        self.has_started = False
        self.registry = Registry()
        self.log = Log()
        self.on_started: Callable[[], None] = lambda: None
        self.on_reloaded: Callable[[Config], None] = lambda _: None
        self._load = load
        self._manager = manager
        self._restarts = self.registry.counters(names.WORKER_RESTARTS)
        self._refusals = SharedRefusals(config, SystemClock().wall, lambda records: self._tell_all(refusing=records))
        self._alive: set[int] = set()
        self._told: dict[int, int] = {}
        self._reloading = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: Ended | None = None

    async def run(self) -> int:
        """Keep the workers until `stop` is set and all have ended; return the exit code.

        Raises GatewayError where a worker said that it cannot serve, before all of them did.
        """
        saving = asyncio.create_task(self._save())
        try:
            codes = await asyncio.gather(*(self._keep(child) for child in self.children))
        finally:
            saving.cancel()
            self.over.set()
            await asyncio.to_thread(self._refusals.save)
        if self._fault and self._fault.code == UNUSABLE:
            raise ConfigError(list(self._fault.sentences))
        if self._fault:
            raise GatewayError(self._fault.reason)
        return max(codes)

    def drain(self, name: str) -> None:
        """Have all workers end, as the signal of this name wants it."""
        self.stop.set()
        self._manager.stopping()
        for child in self.children:
            child.drain(name)

    def reload(self) -> None:
        """Read the configuration again and, where it has no fault, have all workers do so."""
        self._manager.reloading()
        task = asyncio.create_task(self._reload())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def kill(self) -> None:
        """End all workers at once."""
        for child in self.children:
            child.kill()

    async def _keep(self, child: Child) -> int:
        """Have a worker live, again and again; return its last exit code, 1 for a signal that nobody wanted."""
        loop, pauses = asyncio.get_running_loop(), Pauses()
        while not self.stop.is_set():
            begun = loop.time()
            ended = await child.live()
            if self.stop.is_set():
                return self._last_code(child, ended)
            if ended.sentences and not self.has_started:
                self._fault = ended
                self.drain("start_failed")
                return ended.code
            pause = pauses.after(loop.time() - begun)
            self._restarts[str(child.number)].inc()
            self.log.worker_ended(number=child.number, reason=ended.reason, again_in_seconds=pause)
            self._note_reloads()
            with suppress(TimeoutError):
                await asyncio.wait_for(self.stop.wait(), pause)
        return 0

    def _last_code(self, child: Child, ended: Ended) -> int:
        """Return the exit code for the end of a worker that was to end; before it serves SIGTERM ends it."""
        if ended.code in {0, -signal.SIGTERM}:
            return 0
        if not self._fault:  # which all of them find alike, and is said once
            self.log.worker_ended(number=child.number, reason=ended.reason)
        return 1

    def _hear(self, child: Child, message: dict[str, Any]) -> None:
        """Take what a worker tells."""
        match message:
            case {"admin": _}:
                child.tell(refusing=self._refusals.document())
            case {"state": "READY=1"}:
                self._note_ready(child)
            case {"state": "WATCHDOG=1"}:
                self._note_alive(child)
            case {"answered": [source, outcome, status, reason]}:
                self._refusals.note(source, outcome, status, reason)
            case {"learned": _}:
                self._tell_all(**message)

    def _note_ready(self, child: Child) -> None:
        """Note that a worker serves, or that it has taken a configuration."""
        if self._told.get(child.number) != child.pid:
            self._told[child.number] = child.pid
            self.log.worker_started(number=child.number, pid=child.pid)
        if not self.has_started and all(each.serves.is_set() for each in self.children):
            self.has_started = True
            self.on_started()
            self._manager.ready()
        self._note_reloads()

    def _note_reloads(self) -> None:
        """Say that a reload is over once no worker is at one any more."""
        if self.has_started and self._reloading and not any(child.reloading for child in self.children):
            self._reloading = False
            self._manager.ready()

    def _note_alive(self, child: Child) -> None:
        """Say that the whole is alive when each worker has said so since the last time."""
        self._alive.add(child.number)
        if len(self._alive) == len(self.children):
            self._alive.clear()
            self._manager.alive()

    async def _reload(self) -> None:
        try:
            config = await asyncio.to_thread(self._load)
            self._refusals.configure(config)
        except ConfigError as error:
            self.log.reload_refused(faults=error.faults)
        else:
            self.on_reloaded(config)
            for child in self.children:
                child.reload()
        self._reloading = True
        self._note_reloads()

    def _tell_all(self, **message: Any) -> None:
        for child in self.children:
            child.tell(**message)

    async def _save(self) -> None:
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            await asyncio.to_thread(self._refusals.save)
