"""`gateway replay`: run dead letters, or other settled deliveries, again."""

from __future__ import annotations

import asyncio
import enum
import sys
import time
from typing import Annotated, Any

import typer

from gateway.cli import moments, report
from gateway.cli.interruption import INTERRUPTED
from gateway.cli.options import (
    ConfigOption,
    JsonOption,
    ReasonOption,
    SinceOption,
    SourceOption,
    TypeOption,
    UntilOption,
    complain,
    line,
    load_to_look,
    write_json,
)
from gateway.cli.replay_plan import Plan, plan
from gateway.cli.replay_run import Run, walk_plan
from gateway.cli.store import read
from gateway.config import Config
from gateway.errors import ConfigError, GatewayError
from gateway.history import Query
from gateway.model import ReplayMode, State

RATE = 50


class Settled(enum.StrEnum):
    """The states in which an entry can run again."""

    DEAD = "dead"
    FORWARDED = "forwarded"
    SKIPPED = "skipped"


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(replay)


def replay(
    ids: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Delivery, event or trace ids.")] = None,
    *,
    source: SourceOption = "",
    kind: TypeOption = "",
    state: Annotated[Settled, typer.Option(help="Only in this state.")] = Settled.DEAD,
    since: SinceOption = "",
    until: UntilOption = "",
    reason: ReasonOption = "",
    mode: Annotated[ReplayMode, typer.Option(help="resend keeps the event ids, rerun makes new ones.")] = (
        ReplayMode.RESEND
    ),
    rate: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many a second.")] = RATE,
    after: Annotated[int, typer.Option(min=0, help="Go on after the entry with this key.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would run, and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Run dead letters again, or other settled deliveries: all that match, or those with an id.

    The mended transform runs on the body as it was received. Event ids stay the same, so that the event API drops what
    it has taken in the last 24 hours; --mode rerun makes new ones, on purpose.
    """
    names = list(dict.fromkeys(ids or []))
    # What arrives while the replay goes on is not part of it, so it ends now unless somebody says otherwise.
    before = moments.option("--until", until) if until or names else int(time.time() * 1000)
    query = Query(
        source=source,
        type=kind,
        state=State(state),
        since=moments.option("--since", since),
        until=before,
        reason=reason,
        after=after,
    )
    run = Run(names, query, mode, rate, config)
    loaded = load_to_look(config)
    found = read(loaded, lambda inbox: plan(inbox, names, query))
    if not json:
        _tell_plan(found, run)
    if found.count and not dry_run:
        _confirm(found, yes=yes, json=json)
        _go(loaded, run, found, quiet=json)
    if json:
        write_json(_document(found, run, dry_run=dry_run))
    raise typer.Exit(INTERRUPTED if run.stopped else 0)


def _tell_plan(found: Plan, run: Run) -> None:
    for note in found.notes:
        complain(note)
    if not found.count:
        line(f"Nothing to do: no {run.query.state} delivery with its body matches.")
        return
    rows = [(source, run.query.state, number) for source, number in found.by_source.items()]
    report.table("source", "state", "deliveries", rows=rows)
    ids = "the same event ids" if run.mode is ReplayMode.RESEND else "new event ids"
    line(f"{found.count} in all, to run again with {ids}, {run.rate} a second at most.")


def _confirm(found: Plan, *, yes: bool, json: bool) -> None:
    """Ask on a terminal. Raises ConfigError where nobody can be asked, and ends with code 1 on a no."""
    if yes:
        return
    if json or not sys.stdin.isatty():
        raise ConfigError(["nothing was run: nobody can be asked here; add --yes, or --dry-run to count alone"])
    if not typer.confirm(f"Run {found.count} again?", err=True):
        complain("nothing was run")
        raise typer.Exit(1)


def _go(config: Config, run: Run, found: Plan, *, quiet: bool) -> None:
    """Run it; a failure on the way, too, leaves a sentence on how to go on."""
    try:
        asyncio.run(walk_plan(config, run, found, quiet=quiet))
    except GatewayError:
        if run.replayed:
            complain(f"{run.replayed} of {found.count} are pending again; to go on: {run.go_on}")
        raise
    if quiet:
        return
    if run.stopped:
        line(f"Stopped after {run.replayed} of {found.count}. To go on:")
        line(run.go_on)
    else:
        gone = f"; {found.count - run.replayed} had changed meanwhile" if run.replayed < found.count else ""
        who = f"the gateway at {run.served_by} forwards" if run.served_by else "the next `gateway serve` forwards"
        line(f"{run.replayed} of {found.count} are pending again{gone}; {who} them.")


def _document(found: Plan, run: Run, *, dry_run: bool) -> dict[str, Any]:
    return {
        "count": found.count,
        "by_source": found.by_source,
        "state": run.query.state,
        "mode": run.mode,
        "dry_run": dry_run,
        "replayed": run.replayed,
        "last_key": run.last_key,
        "go_on": run.go_on if run.stopped else None,
        "served_by": run.served_by or None,
        "notes": found.notes,
    }
