"""The composition root: everything is made here, started in order, reloaded, and stopped in the reverse order."""

from __future__ import annotations

import asyncio
import random
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial

from aiohttp import web

from gateway import admin, build, build_inbox
from gateway.admin import address, api
from gateway.admin.access import Access
from gateway.admin.exposition import exposed
from gateway.admin.inspection import Inspected, Inspection
from gateway.admin.replay import Replays
from gateway.beside import Beside, Part
from gateway.clock import Clock, SystemClock, go_on
from gateway.config import AdminConfig, Config, ServerConfig
from gateway.event_api import EventApi
from gateway.feed import Feed
from gateway.forward import Forwarder, Leasing
from gateway.gauges import Gauges, watch_loop
from gateway.housekeeping import Housekeeping
from gateway.inbox.contract import Inbox
from gateway.listener import Listener
from gateway.quarantine import Recorder
from gateway.receive import Receiver
from gateway.sender import Sender
from gateway.sources import Source
from gateway.straight import StraightHandler
from gateway.systemd import Inlet
from gateway.telemetry import traces
from gateway.telemetry.logs import Log
from gateway.telemetry.metrics import Metrics

REQUEST_GRACE_SECONDS = 10.0
FORWARD_GRACE_SECONDS = 10.0
LAST_METRICS_SECONDS = 1.0


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
        sockets: Mapping[Inlet, socket.socket] | None = None,
        part: Part | None = None,
    ) -> None:
        self.config = config
        self._beside = Beside(config.inbox_path, part)
        self.clock = clock or SystemClock()
        self.metrics = Metrics(self.clock.wall)
        self.log = Log(on_crash=self.metrics.crashed)
        self.feed = Feed(self.clock.wall)
        self.port = 0
        self.admin_port = 0
        self.inbox: Inbox
        self._given_inbox = inbox
        self._sockets = sockets or {}
        self.receiver: Receiver
        self._rng = rng or random.Random()  # noqa: S311 - ids need to differ, and the system's source costs a call each
        self._stack = AsyncExitStack()
        self._event_api: EventApi
        self._sender: Sender
        self._forwarder: Forwarder
        self._listener: Listener
        self.broken = False
        self._started = False
        self._instance = f"{self._rng.getrandbits(64):016x}"
        self._access = Access(config.admin.host, config.admin.token_hash)
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
        self._open_traces(config)
        self.inbox = self._given_inbox or await build_inbox.open_serving(config, self.metrics.inbox.committed)
        self._stack.push_async_callback(self.inbox.close)
        if self.inbox.time and isinstance(self.clock, SystemClock):
            self.clock.follow(self.inbox.time)
        for note in self.inbox.notes:
            self.log.note(detail=note)
        if config.metrics_interval is not None:
            await self._export_metrics(config.metrics_interval)
        for alarm in (*self.inbox.alarms, *go_on(self.clock, self.inbox.reached)):
            self.log.inbox_alarm(detail=alarm)
        self._stack.callback(self._beside.withdraw)
        self._beside.withdraw()
        self.receiver = Receiver(
            self.inbox,
            built,
            clock=self.clock,
            rng=self._rng,
            log=self.log,
            on_accepted=self._note_kept,
            metrics=self.metrics,
            traces=self._traces,
        )
        self._recorder = Recorder(self._beside.holding, build.keeping(config, built), log=self.log)
        self._recorder.start()
        self._stack.push_async_callback(asyncio.to_thread, self._recorder.close)
        self.receiver.on_rejected = self._recorder.hold
        self._refusals = await asyncio.to_thread(self._beside.refusals, self.clock.wall)
        self._stack.push_async_callback(asyncio.to_thread, self._refusals.save)
        self.receiver.on_answered = self._refusals.answered
        self.receiver.feed = self.feed
        self._apply_server(config)
        self.admin_port = await self._listen("admin", Listener(self._admin()), config.admin)
        self._stack.callback(self.feed.close)  # before that listener stops, which waits for what it answers
        listens_at = address.url(config.admin.host, self.admin_port)
        self._beside.announce(listens_at, self._instance)
        await self._start_forwarding(config, built)
        listener = Listener(
            self.receiver.handle,
            head_seconds=config.server.header_timeout_seconds,
            on_malformed=self.receiver.refuse_malformed,
            connection=StraightHandler,
        )
        self.port = await self._listen("server", listener, config.server)
        self._started = True

    def _open_traces(self, config: Config) -> None:
        on_dropped, exported = self.metrics.spans_dropped, config.tracing.exported
        self._traces = traces.opened(
            self._rng,
            wall=self.clock.wall,
            exported=exported,
            ratio=config.tracing.ratio,
            event_api=config.event_api.url,
            on_dropped=on_dropped,
        )
        self.metrics.exemplars.sampled_only = exported
        self._stack.push_async_callback(self._traces.close)

    async def _export_metrics(self, seconds: float) -> None:
        # Not loaded by those who do not export.
        from gateway.telemetry.metrics_export import MetricsExport  # noqa: PLC0415

        export = await asyncio.to_thread(MetricsExport, self.metrics.registry, seconds)
        self._stack.push_async_callback(asyncio.to_thread, export.close, LAST_METRICS_SECONDS)

    async def _start_forwarding(self, config: Config, built: Mapping[str, Source]) -> None:
        self._event_api = _event_api(config)
        self._stack.push_async_callback(self._close_event_api)
        self._sender = Sender(
            self.inbox,
            self._event_api,
            build.limits(config),
            clock=self.clock,
            rng=self._rng,
            log=self.log,
            traces=self._traces,
            metrics=self.metrics,
        )
        self._sender.rate = build.rate(config)
        self._sender.feed = self.feed
        leasing = Leasing(build.lease_ms(config), built)
        self._forwarder = Forwarder(self.inbox, self._sender, leasing, clock=self.clock, log=self.log)
        self._stack.push_async_callback(self._stop_forwarding)
        await self._forwarder.prepare(built)
        house = self._housekeeping()
        house.watch_space()
        self.gauges = Gauges(self.metrics, self.inbox, self._sender, lambda: self.receiver.sources, self.clock)
        endless = (self._forwarder.run(), house.run(), self.gauges.run(), watch_loop(self.metrics))
        self._tasks = [asyncio.create_task(coroutine) for coroutine in endless]
        for task in self._tasks:
            task.add_done_callback(self._notice_end)

    def _housekeeping(self) -> Housekeeping:
        return Housekeeping(
            self.inbox,
            self._refusals,
            config=lambda: self.config,
            sources=lambda: self.receiver.sources,
            clock=self.clock,
            log=self.log,
            metrics=self.metrics,
        )

    async def reload(self, config: Config) -> None:
        """Take a changed configuration: sources, event API, limits and timeouts; addresses and inbox need a restart.

        Raises TransformError, and then nothing has changed.
        """
        built = build.sources(config)
        await self._forwarder.prepare(built)
        old = self._event_api
        self.config = config
        self._traces.event_api = config.event_api.url
        self._event_api = _event_api(config)
        self._sender.transport, self._sender.limits = self._event_api, build.limits(config)
        self._sender.rate = build.rate(config)
        self.receiver.sources = built
        self._recorder.keeping = build.keeping(config, built)
        self._apply_server(config)
        self._access.token_hash = config.admin.token_hash
        self._forwarder.reconfigure(Leasing(build.lease_ms(config), built))
        self.log.reloaded(sources=sorted(built))
        self.metrics.reloaded(taken=True)
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
        inspected = Inspected(
            self.inbox,
            self._refusals,
            quarantine=self._beside.held,
            clock=self.clock,
            config=lambda: self.config,
            port=lambda: self.port,
            feed=self.feed,
            lane=lambda: self._sender.lane if self._started else None,
        )
        replays = Replays(self.inbox, clock=self.clock, log=self.log, on_replayed=self._wake)
        return admin.application(
            self.inbox,
            self._stage,
            api=[*replays.routes(), *Inspection(inspected).routes()],
            metrics=exposed(self.metrics, lambda: self._refusals.seconds(self.receiver.sources)),
            guarded=partial(api.application, access=self._access, log=self.log, instance=self._instance),
        )

    def _stage(self) -> str:
        """Where this is in its life: `starting`, `draining`, or empty while it serves."""
        if self.receiver.draining:
            return "draining"
        return "" if self._started else "starting"

    def _apply_server(self, config: Config) -> None:
        self.receiver.public_url = config.server.public_url.rstrip("/")
        self.receiver.proxies = build.proxies(config)
        self.receiver.body_timeout = config.server.body_timeout_seconds

    async def _listen(self, inlet: Inlet, listener: Listener, where: ServerConfig | AdminConfig) -> int:
        await listener.start(where.host, where.port, self._sockets.get(inlet))
        self._stack.push_async_callback(listener.stop, REQUEST_GRACE_SECONDS)
        return listener.port

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


def _event_api(config: Config) -> EventApi:
    api = config.event_api
    return EventApi(api.url, api.key.reveal(), env=api.env or "", timeout_seconds=api.timeout_seconds)
