"""What a seed stands for: deliveries, weather, deaths and jumps of the clock over some days."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

from tests.simulation.event_api import Weather

MINUTE = 60.0
HOUR = 3_600.0
DAY = 86_400.0

KINDS = ("plain",) * 16 + ("poison", "broken", "skip", "tampered", "stale")
RESENDS = (25 * HOUR, 6.9 * DAY)


@dataclass(frozen=True, slots=True)
class Sending:
    """A delivery: when it is sent first (seconds), what it is, and after how long it is sent again."""

    at: float
    name: str
    kind: str
    events: int
    filler: int
    resends: tuple[float, ...]

    @property
    def genuine(self) -> bool:
        """Whether the gateway may take it."""
        return self.kind not in {"tampered", "stale"}


@dataclass(frozen=True, slots=True)
class Episode:
    """The weather from `at` on, for so long (seconds)."""

    at: float
    lasts: float
    weather: Weather


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is going to happen, in seconds from the start."""

    quiet_seconds: float
    sendings: tuple[Sending, ...]
    episodes: tuple[Episode, ...]
    deaths: tuple[tuple[float, int], ...]
    restarts: tuple[float, ...]
    jumps: tuple[tuple[float, float, int], ...]


def draw(seed: int) -> Plan:
    """Draw the plan of a seed; in each jump of the clock a process starts, and takes the wrong time."""
    rng = random.Random(f"plan {seed}")
    days = rng.choice([0.1, 0.5, 1.0, 4.0])
    horizon = days * DAY
    sendings = _sendings(rng, horizon)
    plan = Plan(
        quiet_seconds=days * 900.0,
        sendings=sendings,
        episodes=_episodes(rng, horizon),
        deaths=tuple((rng.choice(sendings).at, rng.randint(1, 12)) for _ in range(rng.randint(0, 8))),
        restarts=tuple(rng.uniform(0, horizon) for _ in range(rng.randint(0, 3))),
        jumps=tuple(
            (rng.uniform(0, horizon), rng.uniform(MINUTE, 6 * HOUR), rng.choice([-86_400_000, 86_400_000, -600_000]))
            for _ in range(rng.randint(0, 2))
        ),
    )
    within_jumps = tuple(at + lasts / 2 for at, lasts, _ in plan.jumps)
    return replace(plan, restarts=(*plan.restarts, *within_jumps))


def _sendings(rng: random.Random, horizon: float) -> tuple[Sending, ...]:
    """Draw deliveries, some of them in bursts, a few of them sent again after a day and after nearly a week."""
    moments: list[float] = []
    while len(moments) < 60:
        at = rng.uniform(0, horizon)
        moments += [at + rng.uniform(0, 2) for _ in range(rng.choice([1, 1, 1, 30]))]
    return tuple(
        Sending(
            at=at,
            name=f"d{number}",
            kind=rng.choice(KINDS),
            events=rng.choice([1, 1, 1, 2, 7]),
            filler=rng.choice([0, 10, 400]),
            resends=tuple(after for after in RESENDS if horizon >= DAY and rng.random() < 0.15),
        )
        for number, at in enumerate(sorted(moments))
    )


def _episodes(rng: random.Random, horizon: float) -> tuple[Episode, ...]:
    """Draw spells of bad weather with fair ones between; an outage lasts from minutes to three days."""
    episodes, at = [], rng.uniform(0, horizon / 4)
    while at < horizon:
        weather = rng.choice([one for one in Weather if one is not Weather.FAIR])
        longest = 3 * DAY if weather is Weather.DOWN else 2 * HOUR
        lasts = min(horizon, math.exp(rng.uniform(math.log(5 * MINUTE), math.log(longest))))
        episodes.append(Episode(at, lasts, weather))
        at += lasts + rng.uniform(horizon / 100, horizon / 5)
    return tuple(episodes)
