"""The composition root: everything is made here, started in order, reloaded, and stopped in the reverse order."""

from __future__ import annotations

import asyncio
import gc
import os
import random
import signal
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from gateway import admin, build, dedupe, threads
from gateway.admin import address, api
from gateway.admin.replay import Replays
from gateway.clock import Clock, SystemClock, go_on
from gateway.config import Config
from gateway.errors import InboxError
from gateway.event_api import EventApi
from gateway.forward import Forwarder, Leasing
from gateway.inbox.contract import Inbox
from gateway.inbox.disk_space import SpaceLevel
from gateway.inbox.sqlite import SqliteInbox
from gateway.listener import Listener
from gateway.quarantine import Recorder, path_of
from gateway.receive import Receiver
from gateway.reload import Reloader
from gateway.secret_watch import SecretWatch
from gateway.sender import Sender
from gateway.sources import Source
from gateway.telemetry import lines
from gateway.telemetry.logs import Log

DAY_MS = 86_400_000
REQUEST_GRACE_SECONDS = 10.0
FORWARD_GRACE_SECONDS = 10.0
HOUSEKEEPING_SECONDS = 1.0
PRUNE_EVERY_MS = 60_000
LEASE_MARGIN_MS = 60_000
LAST_LINES_SECONDS = 0.5
THREADS = 6
# Python looks for cycles among new objects whenever there are 700 more, which is a dozen parsed bodies.
NEW_OBJECTS = 10_000


class Gateway:
    """A running gateway, on the inbox of its configuration unless it is given one.

    `port` and `admin_port` tell where it listens, `broken` that it must be started anew.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        inbox: Inbox | None = None,
    ) -> None:
        self.config = config
        self.log = Log()
        self.clock = clock or SystemClock()
        self.port = 0
        self.admin_port = 0
        self.inbox: Inbox
        self._given_inbox = inbox
        self.receiver: Receiver
        self._rng = rng or random.Random()  # noqa: S311 - ids need to differ, and the system's source costs a call each
        self._stack = AsyncExitStack()
        self._event_api: EventApi
        self._sender: Sender
        self._forwarder: Forwarder
        self._listener: Listener
        self.broken = False
        self._space_level = SpaceLevel.OK
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the inbox, start forwarding, then listen.

        Raises ConfigError, TransformError or InboxError, with everything that was started stopped again.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        config = self.config
        built = build.sources(config)
        self.inbox = self._given_inbox or await _open_inbox(config)
        self._stack.push_async_callback(self.inbox.close)
        for alarm in (*self.inbox.alarms, *go_on(self.clock, self.inbox.reached)):
            self.log.inbox_alarm(detail=alarm)
        self._stack.callback(address.remove, config.inbox_path)
        address.remove(config.inbox_path)  # what a killed process left names a port that another program may have
        self.receiver = Receiver(
            self.inbox, built, clock=self.clock, rng=self._rng, log=self.log, on_accepted=self._note_kept
        )
        self._recorder = Recorder(path_of(config.inbox_path), build.keeping(config, built), log=self.log)
        self._recorder.start()
        self._stack.push_async_callback(asyncio.to_thread, self._recorder.close)
        self.receiver.on_rejected = self._recorder.hold
        self._apply_server(config)
        self.admin_port = await self._listen(Listener(self._admin()), config.admin.host, config.admin.port)
        address.write(config.inbox_path, address.url(config.admin.host, self.admin_port))
        await self._start_forwarding(config, built)
        listener = Listener(
            self.receiver.handle,
            head_seconds=config.server.header_timeout_seconds,
            on_malformed=self.receiver.refuse_malformed,
        )
        self.port = await self._listen(listener, config.server.host, config.server.port)

    async def _start_forwarding(self, config: Config, built: Mapping[str, Source]) -> None:
        self._event_api = _event_api(config)
        self._stack.push_async_callback(self._close_event_api)
        self._sender = Sender(
            self.inbox, self._event_api, build.limits(config), clock=self.clock, rng=self._rng, log=self.log
        )
        leasing = Leasing(_lease_ms(config), built)
        self._forwarder = Forwarder(self.inbox, self._sender, leasing, clock=self.clock, log=self.log)
        self._stack.push_async_callback(self._stop_forwarding)
        await self._forwarder.prepare(built)
        self._watch_space()
        self._tasks = [asyncio.create_task(self._forwarder.run()), asyncio.create_task(self._keep_house())]
        for task in self._tasks:
            task.add_done_callback(self._notice_end)

    async def reload(self, config: Config) -> None:
        """Take a changed configuration: sources, event API, limits and timeouts; addresses and inbox need a restart.

        Raises TransformError, and then nothing has changed.
        """
        built = build.sources(config)
        await self._forwarder.prepare(built)
        old = self._event_api
        self.config = config
        self._event_api = _event_api(config)
        self._sender.transport, self._sender.limits = self._event_api, build.limits(config)
        self.receiver.sources = built
        self._recorder.keeping = build.keeping(config, built)
        self._apply_server(config)
        self._forwarder.reconfigure(Leasing(_lease_ms(config), built))
        self.log.reloaded(sources=sorted(built))
        await old.close()

    async def drain(self) -> None:
        """Say on every answer that the connection ends, and not to be ready, for as long as load balancers need."""
        self.receiver.draining = True
        await asyncio.sleep(self.config.server.drain_seconds)

    async def stop(self) -> None:
        """Refuse new connections, finish what is under way, give back leases, close the inbox."""
        if hasattr(self, "receiver"):
            self.receiver.draining = True
        await self._stack.aclose()

    @property
    def lane_state(self) -> str:
        """How forwarding stands: `healthy`, `failing` or `paused`."""
        return self._sender.lane.state

    def _admin(self) -> web.Application:
        replays = Replays(self.inbox, clock=self.clock, log=self.log, on_replayed=self._wake)
        v1 = api.application(replays.routes(), host=self.config.admin.host, log=self.log)
        return admin.application(self.inbox, lambda: self.receiver.draining, v1)

    def _apply_server(self, config: Config) -> None:
        self.receiver.public_url = config.server.public_url.rstrip("/")
        self.receiver.proxies = build.proxies(config)
        self.receiver.body_timeout = config.server.body_timeout_seconds

    async def _listen(self, listener: Listener, host: str, port: int) -> int:
        await listener.start(host, port)
        self._stack.push_async_callback(listener.stop, REQUEST_GRACE_SECONDS)
        return listener.port

    def _watch_space(self) -> None:
        space = self.inbox.space
        level = space.level if space else SpaceLevel.OK
        if level is not self._space_level:
            self.log.disk_space(level=level.name.lower(), left=str(space))
        self._space_level = level

    def _note_kept(self) -> None:
        self._forwarder.note_kept()

    def _wake(self) -> None:
        self._forwarder.wake()

    def _notice_end(self, task: asyncio.Task[None]) -> None:
        """Mark the gateway as broken when a task that runs for ever ends by a fault."""
        if not task.cancelled() and (error := task.exception()):
            self.broken = True
            self.log.crashed(where="background", error=error)

    async def _close_event_api(self) -> None:
        await self._event_api.close()

    async def _stop_forwarding(self) -> None:
        await self._forwarder.stop(FORWARD_GRACE_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep_house(self) -> None:
        """Delete what retention no longer keeps, in small steps, and watch the disk."""
        never = asyncio.Event()
        secrets = SecretWatch(self.log, self.receiver.sources, self.clock.wall())
        while True:
            await self.clock.wait(never, PRUNE_EVERY_MS / 1000)
            self._watch_space()
            secrets.look(self.receiver.sources, self.clock.wall())
            now = self.clock.now()
            bodies_before = now - self.config.inbox.retention_days * DAY_MS
            try:
                while await self.inbox.prune(bodies_before, now):
                    pass
            except InboxError as error:
                self.log.forwarding_interrupted(reason=str(error))


Accompany = Callable[[Gateway, Reloader], Coroutine[Any, Any, int | None]]
"""What runs beside a started gateway and may reload it; the exit code it returns ends it, None lets it serve on."""


async def run(load: Callable[[], Config], accompany: Accompany) -> int:
    """Serve until SIGTERM or SIGINT, reloading on SIGHUP; return the exit code.

    A second SIGTERM or SIGINT ends the process at once. An inbox that failed for good, or a fault in a background
    task, ends it with code 1, so that a supervisor starts it anew on a store that is opened afresh.
    """
    asyncio.get_running_loop().set_default_executor(threads.pool(THREADS, "worker"))
    gateway = Gateway(load())
    await gateway.start()
    _collect_seldom()
    stop = asyncio.Event()
    reloader = Reloader(gateway, load)
    _handle_signals(gateway, reloader, stop)
    companion = asyncio.create_task(accompany(gateway, reloader))
    try:
        code = await _watch(gateway, companion, stop)
        if code is None:
            await gateway.drain()
    finally:
        companion.cancel()
        await gateway.stop()
    gateway.log.stopped()
    return code or 0


def _collect_seldom() -> None:
    """Leave what was made until now out of the search for cycles, and search less often: each stands still for it."""
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS)


async def _watch(gateway: Gateway, companion: asyncio.Task[int | None], stop: asyncio.Event) -> int | None:
    """Return the exit code once something ends the gateway: None for a signal."""
    while not await gateway.clock.wait(stop, HOUSEKEEPING_SECONDS):
        if gateway.inbox.failure or gateway.broken:
            return 1
        if companion.done() and (code := companion.result()) is not None:
            return code
    return None


def _handle_signals(gateway: Gateway, reloader: Reloader, stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[bool]] = set()

    def end(number: signal.Signals) -> None:
        if stop.is_set():
            # What was acknowledged is on disk and leases run out, so nothing is lost by leaving at once.
            gateway.log.cut_short(signal=number.name)
            lines.finish(LAST_LINES_SECONDS)
            os._exit(1)
        gateway.log.draining(signal=number.name)
        stop.set()

    def start_reload() -> None:
        task = asyncio.create_task(reloader.reload())
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, number)
    loop.add_signal_handler(signal.SIGHUP, start_reload)


async def _open_inbox(config: Config) -> Inbox:
    window = dedupe.remembered_ms(config.inbox.dedupe_window_days)
    return await asyncio.to_thread(SqliteInbox.open, config.inbox_path, dedupe_window_ms=window)


def _event_api(config: Config) -> EventApi:
    api = config.event_api
    return EventApi(api.url, api.key.reveal(), env=api.env or "", timeout_seconds=api.timeout_seconds)


def _lease_ms(config: Config) -> int:
    mapping = max((source.transform_timeout_seconds for source in config.sources.values()), default=0)
    return int((config.event_api.timeout_seconds * 2 + mapping) * 1_000) + LEASE_MARGIN_MS
