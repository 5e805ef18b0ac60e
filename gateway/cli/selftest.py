"""`gateway selftest`: a short torture on the disk of the configured inbox."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from pathlib import Path
from random import SystemRandom
from typing import Annotated, Any

import typer

from gateway.cli.options import ConfigOption, JsonOption, err, load_to_look, out, write_json
from gateway.config import Config
from gateway.errors import ConfigError
from gateway.inbox.sqlite_place import require_local
from gateway.telemetry import logs
from gateway.torture import campaign, machine, report
from gateway.torture.campaign import Plan
from gateway.torture.place import Place

SETTLE_SHARE = 0.1

SecondsOption = Annotated[int, typer.Option(min=2, max=86_400, help="How long it takes, about.")]
SeedOption = Annotated[int | None, typer.Option(min=0, help="Plan the same kills and power losses again.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(selftest)


def selftest(
    config: ConfigOption = None, *, seconds: SecondsOption = 60, seed: SeedOption = None, json: JsonOption = False
) -> None:
    """Kill gateways under load and cut the power in simulation, on the disk of the configured inbox.

    Works in a folder of its own beside the inbox, with demo secrets, your limits of the event API and a local event
    API: your inbox, your sources and your event API are not touched. Exits 1 when a promise was broken.
    """
    loaded = load_to_look(config)
    logs.configure("auto", "error")
    plan = Plan(
        seed=SystemRandom().getrandbits(32) if seed is None else seed,
        seconds=seconds,
        settle_seconds=max(1.0, seconds * SETTLE_SHARE),
        limits=_limits(loaded),
    )
    folder = _folder(loaded)
    kept = False
    try:
        if not json:
            out.print(f"Selftest of about {seconds} s in {folder}, seed {plan.seed}", markup=False, soft_wrap=True)
        made = _torture(plan, folder)
        kept = made["verdict"] != "passed"
    finally:
        if not kept:
            shutil.rmtree(folder)
    _print(made, folder, json=json)
    raise typer.Exit(1 if kept else 0)


def _torture(plan: Plan, folder: Path) -> dict[str, Any]:
    fsync = machine.measure_fsync(folder)
    findings = asyncio.run(campaign.run(plan, folder, _progress))
    return report.document(plan, findings, machine.describe(), fsync)


def _progress(text: str) -> None:
    if err.is_terminal:
        err.print(text, style="dim", markup=False)


def _print(made: dict[str, Any], folder: Path, *, json: bool) -> None:
    if json:
        write_json(made)
        return
    for label, sentence in report.summary(made):
        out.print(f"{label:8} {sentence}", markup=False, soft_wrap=True)
    if made["violations"]:
        out.print(f"What was found lies in {folder}; please report it with the seed", markup=False, soft_wrap=True)


def _limits(config: Config) -> Place:
    event_api = config.event_api
    return Place("", "", event_api.max_request_bytes, event_api.max_event_bytes, event_api.max_batch_events)


def _folder(config: Config) -> Path:
    """Make a folder beside the inbox. Raises ConfigError, or InboxUnsupported for a disk of another machine."""
    if config.inbox.shared:
        raise ConfigError(
            [f"{config.path}: inbox.url: the disk of an inbox in PostgreSQL is not this machine's to test"]
        )
    require_local(config.inbox_path)
    try:
        return Path(tempfile.mkdtemp(prefix=".gateway-selftest-", dir=config.inbox_path.parent))
    except OSError as error:
        where = config.inbox_path.parent
        fix = "make that folder, or let this user write there"
        raise ConfigError(
            [f"{config.path}: inbox.url: nothing can be made in {where}: {error.strerror}; {fix}"]
        ) from None
