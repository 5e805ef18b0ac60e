"""`gateway serve` and `gateway check`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import typer
import uvloop

from gateway import build, systemd
from gateway.addresses import registered_url
from gateway.app import Gateway
from gateway.cli import advice, machine
from gateway.cli.options import ConfigOption, JsonOption, line, load_config, write_json
from gateway.clock import SystemClock
from gateway.config import Config, default_path
from gateway.errors import ConfigError
from gateway.reload import Reloader
from gateway.run import run
from gateway.telemetry import crashes, logs
from gateway.telemetry.logs import Log


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(serve)
    app.command()(check)


def serve(config: ConfigOption = None) -> None:
    """Serve webhooks until SIGTERM; SIGHUP reads the configuration again."""
    loaded = load_config(config)
    logs.configure(loaded.log.format, loaded.log.level)
    crashes.catch(Log().crashed)

    async def announce(gateway: Gateway, _: Reloader) -> None:
        gateway.log.started(
            urls=[registered_url(loaded, name, gateway.port) for name in loaded.sources],
            admin=f"http://{loaded.admin.host}:{gateway.admin_port}",
            inbox=loaded.inbox_name,
            event_api=loaded.event_api.url,
        )
        for name, note in build.notes(loaded, gateway.clock.wall()).items():
            gateway.log.note(source=name, detail=note)

    supervisor, sockets = systemd.Supervisor(os.environ), systemd.sockets(os.environ)
    raise typer.Exit(run_on_uvloop(run(lambda: load_config(config), announce, supervisor, sockets)))


def run_on_uvloop(main: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine on uvloop; return its exit code."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def check(config: ConfigOption = None, *, json: JsonOption = False) -> None:
    """Find every fault that `gateway serve` would, without starting it, and advise on the names of events."""
    loaded, faults = _examine(config)
    notes = build.notes(loaded, SystemClock().wall()) if loaded else {}
    advised = advice.on_names(loaded) if loaded and not faults else []
    if json:
        names = sorted(loaded.sources) if loaded else []
        path = str((config or default_path()).absolute())
        write_json({"file": path, "sources": names, "notes": notes, "advice": advised, "faults": faults})
        raise typer.Exit(2 if faults else 0)
    if loaded is None or faults:
        raise ConfigError(faults)
    for name, note in notes.items():
        line(f"{loaded.path}: sources.{name}: {note}")
    for sentence in advised:
        line(f"advice: {sentence}", "dim")
    counted = "1 source" if len(loaded.sources) == 1 else f"{len(loaded.sources)} sources"
    line(f"{loaded.path}: no faults; {counted}: {', '.join(sorted(loaded.sources))}")


def _examine(path: Path | None) -> tuple[Config | None, list[str]]:
    """Return the configuration, where it can be read, and everything that is wrong with it or the machine."""
    try:
        loaded = load_config(path)
    except ConfigError as error:
        return None, error.faults
    return loaded, list(machine.faults(loaded))
