"""`gateway serve` and `gateway check`."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gateway import build, systemd
from gateway.addresses import registered_url
from gateway.app import Gateway
from gateway.cli import advice, machine, workers
from gateway.cli.options import ConfigOption, JsonOption, line, load_config, write_json
from gateway.clock import SystemClock
from gateway.config import Config, default_path
from gateway.errors import ConfigError
from gateway.reload import Reloader
from gateway.run import run, run_on_uvloop
from gateway.telemetry import crashes, logs
from gateway.telemetry.logs import Log
from gateway.workers import assignment

MOST_WORKERS = 64


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(serve)
    app.command()(check)


def serve(
    config: ConfigOption = None,
    *,
    count: Annotated[
        int, typer.Option("--workers", min=1, max=MOST_WORKERS, help="So many processes, on an inbox in PostgreSQL.")
    ] = 1,
) -> None:
    """Serve webhooks until SIGTERM; SIGHUP reads the configuration again."""
    if mine := assignment.take(os.environ):
        raise typer.Exit(workers.join_in(mine, lambda: load_config(config)))
    loaded = load_config(config)
    logs.configure(loaded.log.format, loaded.log.level)
    crashes.catch(Log().crashed)
    if count > 1:
        announce = partial(_announce, loaded, count)
        raise typer.Exit(workers.supervise(lambda: load_config(config), loaded, count, announce))

    async def accompany(gateway: Gateway, _: Reloader) -> None:
        _announce(loaded, 1, gateway.port, gateway.admin_port)

    supervisor, sockets = systemd.Supervisor(os.environ), systemd.sockets(os.environ)
    raise typer.Exit(run_on_uvloop(run(lambda: load_config(config), accompany, supervisor, sockets)))


def _announce(loaded: Config, count: int, port: int, admin_port: int) -> None:
    """Say where everything is, and what an operator should know."""
    log = Log()
    log.started(
        urls=[registered_url(loaded, name, port) for name in loaded.sources],
        admin=f"http://{loaded.admin.host}:{admin_port}",
        inbox=loaded.inbox_name,
        event_api=loaded.event_api.url,
        workers=count,
    )
    for name, note in build.notes(loaded, SystemClock().wall()).items():
        log.note(source=name, detail=note)


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
