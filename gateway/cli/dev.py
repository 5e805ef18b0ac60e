"""`gateway dev`: everything on this machine, and samples on request."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Never

import typer

from gateway.addresses import local_url
from gateway.app import Gateway
from gateway.cli import report, running
from gateway.cli.options import ConfigOption, find_source, line, names_a_file
from gateway.cli.send import prepare, private_key_of, taken
from gateway.config import Config, default_path, load
from gateway.dev import demo
from gateway.dev.event_api import LocalEventApi
from gateway.dev.post import post
from gateway.errors import ConfigError
from gateway.event_api import is_answering
from gateway.history import History, Query
from gateway.model import State
from gateway.reload import Reloader
from gateway.run import run, run_on_uvloop
from gateway.telemetry import logs
from gateway.watch import Watch

DEV_SERVER = "http://127.0.0.1:8288"
LOCAL_EVENT_API_PORT = 8289
SETTLE_SECONDS = 20.0
LOOK_SECONDS = 0.5

SendOption = Annotated[
    list[str] | None, typer.Option("--send", metavar="SOURCE", help="Send a sample to this source (repeatable).")
]
OnceOption = Annotated[bool, typer.Option("--once", help="End when the samples are settled; exit 1 if one failed.")]


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(dev)


def dev(config: ConfigOption = None, *, samples: SendOption = None, once: OnceOption = False) -> None:
    """Start everything on this machine: the gateway, an event API, and samples on request.

    Uses ./gateway.toml where there is one, else makes .gateway/gateway.toml.

    Variables that are not set get demo secrets, and the inbox is .gateway/inbox.db.

    Events go to the Inngest Dev Server when it answers, else to a local event API.

    A changed gateway.toml or transform is taken at once.
    """
    path, environ = _prepare(config)
    logs.configure("auto", "info")
    raise typer.Exit(run_on_uvloop(_Session(path, environ, samples or [], once=once).serve()))


def _prepare(config: Path | None) -> tuple[Path, Callable[[], dict[str, str]]]:
    """Return the configuration to use and what gives the environment that completes it, as it is then."""
    path = config or default_path()
    folder = running.FOLDER
    try:
        demo.make_folder(folder)
        if not names_a_file(config) and not path.exists():
            return demo.make_config(folder), lambda: dict(os.environ)
        keeping = demo.keeping_in(folder)
        demo.environment(path, os.environ, keeping)
    except OSError as error:
        raise ConfigError(
            [f"{folder}: demo secrets and the inbox cannot be kept there ({error.strerror}); make it a writable folder"]
        ) from error
    return path, lambda: demo.environment(path, os.environ, keeping)


class _Session:
    """One run of `gateway dev`."""

    def __init__(self, path: Path, environ: Callable[[], dict[str, str]], samples: list[str], *, once: bool) -> None:
        self._path = path
        self._environ = environ
        self._samples = samples
        self._once = once
        self._event_api: LocalEventApi | None = None
        self._event_api_url = DEV_SERVER
        self._ports: dict[str, int] = {}

    async def serve(self) -> int:
        """Serve until the samples are settled or a signal comes; return the exit code."""
        config = self._load()
        for name in self._samples:
            find_source(config, name)
        if not await is_answering(DEV_SERVER):
            self._event_api = await _local_event_api()
            self._event_api_url = self._event_api.url
        try:
            return await run(self._load, self._accompany)
        finally:
            if self._event_api:
                await self._event_api.stop()

    def _load(self) -> Config:
        """Load the configuration with free ports, the event API that runs here and the inbox in the dev folder."""
        config = load(self._path, self._environ())
        for name, address in (("server", config.server), ("admin", config.admin)):
            self._ports.setdefault(name, free_port(address.host, address.port))
        return running.on_this_machine(config, self._ports["server"]).model_copy(
            update={
                "admin": config.admin.model_copy(update={"port": self._ports["admin"]}),
                "event_api": config.event_api.model_copy(update={"url": self._event_api_url}),
            }
        )

    async def _accompany(self, gateway: Gateway, reloader: Reloader) -> int | None:
        with running.announced(gateway.config, gateway.port):
            report.print_start(gateway, event_api_url=self._event_api_url, local=self._event_api is not None)
            settled = await _send_samples(gateway, self._samples)
            if settled:
                report.print_outcomes(settled)
            if self._once:
                return 0 if _all_forwarded(settled, len(self._samples)) else 1
            line("")
            line(f"Serving until Ctrl-C. Send more with: gateway send {next(iter(gateway.config.sources))}")
            await self._reload_on_change(gateway, reloader)
        return None

    async def _reload_on_change(self, gateway: Gateway, reloader: Reloader) -> Never:
        """Reload whenever the configuration or a transform is another; what is wrong with it is said in the log."""
        watch = Watch(self._path)
        never = asyncio.Event()
        while True:
            await gateway.clock.wait(never, LOOK_SECONDS)
            if watch.changed():
                watch.failed = not await reloader.reload()


async def _local_event_api() -> LocalEventApi:
    """Start a local event API on its usual port, or on a free one where that is taken."""
    event_api = LocalEventApi()
    try:
        await event_api.start(port=LOCAL_EVENT_API_PORT)
    except OSError:
        await event_api.start()
    return event_api


def _all_forwarded(histories: Sequence[History], sent: int) -> bool:
    return len(histories) == sent and all(history.entry.state is State.FORWARDED for history in histories)


async def _send_samples(gateway: Gateway, names: list[str]) -> list[History]:
    """Send one sample to each source; return what became of those that were taken."""
    histories = []
    for name in names:
        private_key = private_key_of(find_source(gateway.config, name), None)
        request = prepare(gateway.config, name, None, gateway.port, private_key=private_key)
        before = gateway.clock.wall()
        answered = await asyncio.to_thread(post, local_url(gateway.config, name, gateway.port), request)
        report.print_answer(name, request.type, answered)
        if taken(answered):
            histories.append(await _settled(gateway, Query(source=name, since=before, limit=1)))
    return [history for history in histories if history]


async def _settled(gateway: Gateway, query: Query) -> History | None:
    """Wait until the entry that the query finds is settled; return it as it is then, or as it is in the end."""
    never = asyncio.Event()
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        found = await gateway.inbox.search(query)
        history = await gateway.inbox.get(found[0].entry.key) if found else None
        done = history is not None and history.entry.state not in {State.PENDING, State.LEASED}
        if done or time.monotonic() > deadline:
            return history
        await gateway.clock.wait(never, 0.05)


def free_port(host: str, wanted: int) -> int:
    """Return `wanted`, or a free port where another program has it."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    return wanted
