"""The torture in its short form: the same code as `make torture`, a handful of rounds."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from gateway.failpoints import NAMES
from gateway.torture.bout import Bout
from gateway.torture.campaign import Findings
from gateway.torture.fleet import Fleet
from gateway.torture.haste import Synchronous
from gateway.torture.place import Place
from gateway.torture.power import MODES, PowerLosses, lose_power
from gateway.torture.rounds import Round, Tally, opening

SEED = int(os.environ.get("TORTURE_SEED", "") or Random().getrandbits(32))
FAILPOINT_SECONDS = 15.0


async def lose_power_often(folder: Path, count: int, synchronous: Synchronous) -> PowerLosses:
    """Lose the power so many times with one seed; return what was found."""
    power, rng = PowerLosses(), Random(SEED)
    for number in range(count):
        place = folder / str(number)
        place.mkdir()
        await lose_power(place, number, rng, power, synchronous)
    return power


async def test_kills_lose_nothing(tmp_path: Path) -> None:
    """Killed at every failpoint and at random moments, paused, and stopped, with faults of the event API meanwhile,
    the gateway keeps each of its promises to two outside witnesses.
    """  # noqa: D205 - one sentence
    rng, tally = Random(SEED), Tally()
    failpoints = [Round("failpoint", FAILPOINT_SECONDS, f"{name}=kill") for name in sorted(NAMES)]
    cut = Round("failpoint", FAILPOINT_SECONDS, "in_checkpoint=cut")
    kills = [Round("kill", rng.uniform(0, 0.4)) for _ in range(8)]
    others = [Round("pause", 0.2, pause=0.7), Round("stop", 0.3), Round("kill", 0.3, outage=0.4)]
    async with Fleet() as fleet, Bout(fleet, Place(str(tmp_path), ""), rng, 60.0, tally) as bout:
        for round_ in [*opening(), *rng.sample([*failpoints, cut, *kills, *others], len(failpoints) + 12)]:
            await bout.play(round_)
        verdict = await bout.finish(settle_seconds=2.0)
    assert tally.violations == [], f"TORTURE_SEED={SEED}"
    assert verdict.acknowledged > 50
    assert verdict.ids + verdict.waiting >= verdict.acknowledged
    assert tally.kills >= 17
    assert tally.failpoints.keys() >= NAMES | {"in_migration_1"}
    assert len(tally.faults) >= 8
    assert tally.outcomes["401"] > 0
    assert max(tally.starts_ms) < 2_000


async def test_power_losses_lose_nothing(tmp_path: Path) -> None:
    """Whatever the disk did before, what was acknowledged and settled is there after a power loss."""
    power = await lose_power_often(tmp_path, 4 * len(MODES), "FULL")
    assert power.violations == [], f"TORTURE_SEED={SEED}"
    assert set(power.modes) == set(MODES)
    assert power.acknowledged > 100
    assert power.settled > 20


async def test_the_suite_can_fail(tmp_path: Path) -> None:
    """With synchronous=NORMAL, which forgets the last commits, the power losses are noticed."""
    power = await lose_power_often(tmp_path, 4 * len(MODES), "NORMAL")
    assert any("acknowledged and lost" in violation for violation in power.violations)
    findings = Findings(power=power)
    assert findings.violations


def test_the_long_form_says_so_when_it_fails(tmp_path: Path) -> None:
    """`make torture` ends with code 1 on a violation, and its report names seed, machine, counts and findings."""
    environ = {"TORTURE_KILLS": "2", "TORTURE_POWER": "15", "TORTURE_SEED": str(SEED), "TORTURE_SYNCHRONOUS": "NORMAL"}
    command = [sys.executable, "-m", "gateway.torture"]
    done = subprocess.run(  # noqa: S603 - our own code
        command, env={**os.environ, **environ}, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    [report] = (tmp_path / "build").glob("torture-*.json")
    found = json.loads(report.read_text())
    assert (found["verdict"], found["seed"], found["plan"]["synchronous"]) == ("failed", SEED, "NORMAL")
    assert found["processes"]["kill_9"] >= 2
    assert found["power"]["losses"] == 15
    assert found["machine"]["sqlite"]
    assert {violation.split(" ")[0] for violation in found["violations"]} == {"power"}
    assert re.search(r"acknowledged and lost: [1-9]", report.with_suffix(".md").read_text())


@pytest.mark.parametrize(("name", "text"), [("SECONDS", "soon"), ("SYNCHRONOUS", "OFF"), ("KILLS", "-1")])
def test_a_setting_that_is_none(tmp_path: Path, name: str, text: str) -> None:
    """A setting that cannot be followed is refused in a sentence with code 2, before anything is tortured."""
    environ = {**os.environ, f"TORTURE_{name}": text}
    command = [sys.executable, "-m", "gateway.torture"]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603 - our own code
    assert done.returncode == 2
    assert f"TORTURE_{name} is '{text}'" in done.stdout
    assert not list(tmp_path.iterdir())
