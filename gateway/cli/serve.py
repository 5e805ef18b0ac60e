"""`gateway serve` and `gateway check`."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import typer
import uvloop

from gateway import build
from gateway.app import Gateway, run
from gateway.cli.addresses import registered_url
from gateway.cli.options import ConfigOption, JsonOption, load_config, out, write_json
from gateway.telemetry import logs


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(serve)
    app.command()(check)


def serve(config: ConfigOption = None) -> None:
    """Serve webhooks until SIGTERM; SIGHUP reads the configuration again."""
    loaded = load_config(config, dev=False)
    logs.configure(loaded.log.format, loaded.log.level)

    async def announce(gateway: Gateway) -> None:
        gateway.log.started(
            urls=[registered_url(loaded, name, gateway.port) for name in loaded.sources],
            admin=f"http://{loaded.admin.host}:{gateway.admin_port}",
            inbox=str(loaded.inbox_path),
            event_api=loaded.event_api.url,
        )
        for name, note in build.notes(loaded).items():
            gateway.log.note(source=name, detail=note)

    raise typer.Exit(run_on_uvloop(run(lambda: load_config(config, dev=False), announce)))


def run_on_uvloop(main: Coroutine[Any, Any, int]) -> int:
    """Run a coroutine on uvloop; return its exit code."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def check(config: ConfigOption = None, *, json: JsonOption = False) -> None:
    """Find every fault that `gateway serve` would, without starting it."""
    loaded = load_config(config, dev=False)
    names = sorted(build.sources(loaded))
    if json:
        write_json({"file": str(loaded.path), "sources": names, "notes": build.notes(loaded), "faults": []})
    else:
        for name, note in build.notes(loaded).items():
            out.print(f"{loaded.path}: sources.{name}: {note}", markup=False, soft_wrap=True)
        out.print(f"{loaded.path}: no faults; {len(names)} sources: {', '.join(names)}", markup=False, soft_wrap=True)
