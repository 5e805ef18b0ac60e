"""Days of faults, drawn by a seed, in a fraction of a second each.

`SIM_SEED=17 make test ARGS=tests/simulation` plays one seed again; `make simulate SEEDS=5000` plays many.
"""

import functools
import os
import tempfile
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.days import play
from tests.simulation.event_api import Weather
from tests.simulation.oracle import Oracle
from tests.simulation.virtual_loop import run

SHORT = 24
SEEDS = [int(os.environ["SIM_SEED"])] if "SIM_SEED" in os.environ else range(int(os.environ.get("SIM_SEEDS", SHORT)))
MEMORY = Path("/dev/shm")


@functools.cache
def simulate(seed: int) -> Oracle:
    """Play a seed on a disk in memory, where the machine has one: nothing here depends on what fsync takes."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        return run(play(seed, Path(folder)))


@pytest.mark.parametrize("seed", SEEDS)
def test_days_of_faults(seed: int) -> None:
    """Through outages, refusals, losses, deaths and jumps of the clock, the invariants I1 to I7 hold."""
    try:
        oracle = simulate(seed)
    except BaseException:
        print(f"SIM_SEED={seed} plays this again")  # noqa: T201 - what pytest shows of a failure
        raise
    assert oracle.counted["accepted"] >= 40


def test_a_seed_plays_the_same_again() -> None:
    """A seed that failed fails again: two runs of one seed agree on every arrival and every end."""
    first, second = simulate(11), simulate.__wrapped__(11)
    assert first.arrivals == second.arrivals
    assert first.ended == second.ended


def test_the_seeds_reach_everything() -> None:
    """Among the seeds of the short form every weather, deaths, restarts and absorbed re-sends occur."""
    counted: Counter[str] = Counter()
    for seed in range(SHORT):
        counted.update(simulate(seed).counted)
    wanted = {*(weather.value for weather in Weather), "death", "restart", "absorbed", "refused", "connection broken"}
    assert not wanted - counted.keys()
