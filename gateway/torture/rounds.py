"""What happens to one gateway process, drawn by a seed, and the tally of what happened. Pure."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from random import Random
from typing import Literal

from gateway.failpoints import NAMES
from gateway.inbox.sqlite_schema import SCHEMA

Act = Literal["kill", "failpoint", "pause", "stop"]

KILL_WITHIN_SECONDS = 0.45
FAILPOINT_SECONDS = 1.5
MAX_PAUSE_SECONDS = 1.4
OUTAGES = 0.03
MAX_OUTAGE_SECONDS = 1.5

_ACTS: dict[Act, float] = {"kill": 60, "failpoint": 28, "pause": 3, "stop": 9}
_LATEST_PASS = {
    "before_commit": 20,
    "after_commit": 20,
    "before_answer": 12,
    "before_settle": 3,
    "in_checkpoint": 2,
    "in_prune": 2,
}


@dataclass(frozen=True, slots=True)
class Round:
    """One life of a gateway: how it ends, after how many seconds, with which failpoint armed.

    A failpoint that is not reached in `seconds` is given up, and the gateway killed from outside. `pause` is how long
    SIGSTOP holds it, `outage` for how long the event API is away from the start of the round on.
    """

    act: Act
    seconds: float = 0.0
    failpoint: str = ""
    pause: float = 0.0
    outage: float = 0.0


def opening() -> list[Round]:
    """Return the rounds of a new inbox: a kill in each step that makes its schema."""
    steps = range(1, SCHEMA + 1)
    return [Round("failpoint", FAILPOINT_SECONDS, f"in_migration_{step}=kill") for step in steps]


def each_failpoint(rng: Random) -> Iterator[Round]:
    """Yield rounds that die at one failpoint after the other, for ever."""
    for name in cycle(sorted(NAMES)):
        action = rng.choice(("cut", "kill")) if name == "in_checkpoint" else "kill"
        yield Round("failpoint", FAILPOINT_SECONDS, f"{name}={action}@{rng.randint(1, _LATEST_PASS[name])}")


def draw(rng: Random) -> Iterator[Round]:
    """Yield random rounds for ever."""
    failpoints = each_failpoint(rng)
    while True:
        [act] = rng.choices(list(_ACTS), list(_ACTS.values()))
        outage = rng.uniform(0.2, MAX_OUTAGE_SECONDS) if rng.random() < OUTAGES else 0.0
        if act == "failpoint":
            yield next(failpoints)
        else:
            pause = rng.uniform(0.1, MAX_PAUSE_SECONDS) if act == "pause" else 0.0
            yield Round(act, rng.uniform(0, KILL_WITHIN_SECONDS), pause=pause, outage=outage)


@dataclass(slots=True)
class Tally:
    """Counts over all rounds. `kills` are deaths by SIGKILL; `broken_at_stop` connections that a SIGTERM broke off."""

    rounds: Counter[str] = field(default_factory=Counter)
    kills: int = 0
    failpoints: Counter[str] = field(default_factory=Counter)
    failpoints_missed: Counter[str] = field(default_factory=Counter)
    starts_ms: list[float] = field(default_factory=list)
    broken_at_stop: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def note(self, round_: Round, code: int, *, sprung: bool = False) -> None:
        """Count a round that ended with `code`; `sprung` tells that its failpoint, not the harness, killed it."""
        self.rounds[round_.act] += 1
        self.kills += code == -signal.SIGKILL
        if round_.failpoint:
            counter = self.failpoints if sprung else self.failpoints_missed
            counter[round_.failpoint.partition("=")[0]] += 1
        expected = 0 if round_.act == "stop" else -signal.SIGKILL
        if code != expected:
            self.violations.append(f"a gateway ended with code {code} in a round of {round_.act}; see its log")
