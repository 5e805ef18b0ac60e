"""The whole torture: bouts side by side on one fork server, then power losses, until time or counts are reached."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from random import Random

from gateway.torture.bout import Bout
from gateway.torture.fleet import Fleet
from gateway.torture.haste import Synchronous
from gateway.torture.place import Place
from gateway.torture.power import PowerLosses, lose_power
from gateway.torture.rounds import Tally, draw, opening
from gateway.torture.verdict import Verdict

PROCESS_SHARE, POWER_SHARE = 0.65, 0.2
ROUNDS_PER_BOUT = 250
PROGRESS_SECONDS = 10.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how often and from which seed. A count that is given ends its half in place of the time.

    The seed decides what is done; when exactly it happens is up to the machine. `rate` is deliveries a second per
    bout, `bouts` how many inboxes are served at once, `limits` a place whose limits of the event API all have.
    `settle_seconds` is how long the last gateway of a bout may take to forward what is left.
    """

    seed: int
    seconds: float = 1_800.0
    kills: int | None = None
    power_losses: int | None = None
    bouts: int = 2
    rate: float = 40.0
    settle_seconds: float = 45.0
    synchronous: Synchronous = "FULL"
    limits: Place = field(default_factory=lambda: Place("", ""))


@dataclass(slots=True)
class Findings:
    """What the torture found, and the seconds that each half took."""

    tally: Tally = field(default_factory=Tally)
    verdicts: list[Verdict] = field(default_factory=list)
    power: PowerLosses = field(default_factory=PowerLosses)
    process_seconds: float = 0.0
    power_seconds: float = 0.0

    @property
    def acknowledged(self) -> int:
        """How many deliveries were acknowledged over HTTP."""
        return sum(verdict.acknowledged for verdict in self.verdicts)

    @property
    def violations(self) -> list[str]:
        """All that must not have happened, one sentence each."""
        idle = (
            [] if self.acknowledged and self.power.acknowledged else ["nothing was acknowledged, so nothing is proven"]
        )
        return [*idle, *self.tally.violations, *self.power.violations]


async def run(plan: Plan, folder: Path, say: Say) -> Findings:
    """Carry out a plan in a folder, where the files of bouts that found something stay."""
    findings, begun = Findings(), time.monotonic()
    async with Fleet() as fleet:
        lines = [_line(plan, fleet, folder / f"line-{number}", findings) for number in range(plan.bouts)]
        progress = asyncio.create_task(_tell_progress(findings, say))
        try:
            await asyncio.gather(*lines)
        finally:
            progress.cancel()
    middle = time.monotonic()
    say(f"{findings.tally.kills} kills done; now the power losses")
    await _lose_power(plan, folder, findings.power)
    findings.process_seconds, findings.power_seconds = middle - begun, time.monotonic() - middle
    return findings


async def _line(plan: Plan, fleet: Fleet, folder: Path, findings: Findings) -> None:
    """Fight one bout after another until the plan is fulfilled."""
    rng = Random(f"{plan.seed} {folder.name}")  # noqa: S311 - a seed makes the torture repeatable
    tally, deadline = findings.tally, time.monotonic() + plan.seconds * PROCESS_SHARE

    def enough() -> bool:
        return time.monotonic() >= deadline if plan.kills is None else tally.kills >= plan.kills

    while not enough():
        place = folder / f"bout-{len(findings.verdicts)}"
        place.mkdir(parents=True)
        before = len(tally.violations)
        async with Bout(fleet, replace(plan.limits, folder=str(place)), rng, plan.rate, tally) as bout:
            for count, round_ in enumerate(chain(opening(), draw(rng))):
                if count == ROUNDS_PER_BOUT or enough():
                    break
                await bout.play(round_)
            findings.verdicts.append(await bout.finish(plan.settle_seconds))
        if len(tally.violations) == before:
            shutil.rmtree(place)


async def _lose_power(plan: Plan, folder: Path, power: PowerLosses) -> None:
    rng = Random(f"{plan.seed} power")  # noqa: S311 - a seed makes the torture repeatable
    deadline = time.monotonic() + plan.seconds * POWER_SHARE
    while time.monotonic() < deadline if plan.power_losses is None else power.losses < plan.power_losses:
        place = folder / f"power-{power.losses}"
        place.mkdir()
        await lose_power(place, power.losses, rng, power, plan.synchronous)


async def _tell_progress(findings: Findings, say: Say) -> None:
    tally = findings.tally
    while True:
        await asyncio.sleep(PROGRESS_SECONDS)
        say(f"{tally.kills} kills in {tally.rounds.total()} rounds, {len(tally.violations)} violations")
