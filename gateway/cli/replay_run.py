"""One replay under way: its progress, Ctrl-C, and the command that goes on from where it stopped."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.cli import moments
from gateway.cli.interruption import ctrl_c
from gateway.cli.options import err
from gateway.cli.replay_plan import Plan
from gateway.cli.replay_steps import open_steps
from gateway.clock import SystemClock
from gateway.config import Config
from gateway.history import Query
from gateway.model import ReplayMode
from gateway.replay import walk


@dataclass(slots=True)
class Run:
    """One replay: what was asked for, and how far it came."""

    ids: list[str]
    query: Query
    mode: ReplayMode
    rate: int
    config: Path | None
    replayed: int = 0
    last_key: int | None = None
    served_by: str = ""
    stopped: bool = False

    @property
    def go_on(self) -> str:
        """The command that does the rest."""
        query, words = self.query, ["gateway", "replay"]
        words += ["--state", str(query.state), "--mode", self.mode, "--rate", str(self.rate)]
        for name, value in (("--source", query.source), ("--type", query.type), ("--reason", query.reason)):
            words += [name, value] if value else []
        for name, moment in (("--since", query.since), ("--until", query.until)):
            words += [name, moments.exact(moment)] if moment is not None else []
        words += ["--config", str(self.config)] if self.config else []
        after = self.query.after if self.last_key is None else self.last_key
        return shlex.join([*words, "--after", str(after), *(["--", *self.ids] if self.ids else [])])


async def walk_plan(config: Config, run: Run, found: Plan, *, quiet: bool) -> None:
    """Run what was planned, behind a progress bar on a terminal; `run` tells how far it came, also after an error."""
    clock = SystemClock()
    columns = (TextColumn("replay"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with ctrl_c() as stop, open_steps(config, run.mode, clock) as steps:
        run.served_by = steps.url
        with Progress(*columns, console=err, disable=quiet or not err.is_terminal) as progress:
            bar = progress.add_task("", total=found.count)
            async for taken in walk(found.queries, steps.step, rate=run.rate, clock=clock, stop=stop):
                run.replayed += taken.count
                run.last_key = taken.last_key
                progress.update(bar, completed=run.replayed)
        run.stopped = stop.is_set() and run.replayed < found.count
