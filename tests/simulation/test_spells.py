"""Twice the event API refuses everything, with fair weather between: what is good survives both."""

import tempfile
from pathlib import Path

from tests.simulation.days import Days
from tests.simulation.event_api import Weather
from tests.simulation.oracle import Oracle
from tests.simulation.plan import HOUR, MINUTE, Episode, Plan, Sending
from tests.simulation.test_seeds import MEMORY
from tests.simulation.virtual_loop import run

SPELL = 5 * HOUR
FAIR = 6 * MINUTE
SEEDS = 3


def sending(at: float, name: str, kind: str = "plain") -> Sending:
    """Make a delivery of one event."""
    return Sending(at, name, kind, events=1, filler=0, resends=())


async def play(folder: Path, seed: int) -> Oracle:
    """Let a few deliveries be refused through two spells, others be accepted in between, and one be poison."""
    between = [sending(SPELL + 10 * n, f"between{n}") for n in range(1, 30)]
    plan = Plan(
        quiet_seconds=20.0,
        sendings=(*(sending(n, f"early{n}") for n in range(6)), *between, sending(SPELL, "poison", "poison")),
        episodes=(Episode(0, SPELL, Weather.REFUSING), Episode(SPELL + FAIR, SPELL, Weather.REFUSING)),
        deaths=(),
        restarts=(),
        jumps=(),
    )
    return await Days(plan, folder, seed).play()


def test_two_spells_of_refusing_everything() -> None:
    """Refusals of two spells, each long enough for all tries, kill nothing but the poisoned event."""
    for seed in range(SEEDS):
        with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
            oracle = run(play(Path(folder), seed))
        assert oracle.counted["refusing"] > 100
        assert oracle.counted["fair"] >= 3
