"""Rates, percentiles and backlog, from what an inbox tells of the last minutes. Pure."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gateway.history import Activity, Waiting
from gateway.model import State


@dataclass(frozen=True, slots=True)
class Percentiles:
    """Values (milliseconds) below or at which 50, 90, 99 and 100 percent are."""

    p50: float
    p90: float
    p99: float
    max: float


@dataclass(frozen=True, slots=True)
class Rates:
    """What went on in the last `seconds`, each as a number a second, and what waits."""

    seconds: float
    received: Mapping[str, float]
    settled: Mapping[State, float]
    end_to_end: Percentiles | None
    attempts: Percentiles | None
    waiting: Mapping[str, Waiting]


def rates(activity: Activity, now: int, since: int, limit: int) -> Rates:
    """Return the rates from `since` to `now` (unix ms) of an activity of which at most `limit` of each were told.

    Where there was more, the window is as long as the part that was told of.
    """
    begun = since
    for told, oldest in (
        (activity.received, min((at for _, at in activity.received), default=since)),
        (activity.settled, min((entry.settled_at for entry in activity.settled), default=since)),
    ):
        begun = max(begun, oldest) if len(told) >= limit else begun
    seconds = max(now - begun, 1) / 1000
    settled = [entry for entry in activity.settled if entry.settled_at >= begun]
    forwarded = [entry for entry in settled if entry.state is State.FORWARDED]
    received = Counter(source for source, at in activity.received if at >= begun)
    states = Counter(entry.state for entry in settled)
    return Rates(
        seconds=seconds,
        received={source: count / seconds for source, count in sorted(received.items())},
        settled={state: states[state] / seconds for state in State if states[state]},
        end_to_end=percentiles([entry.settled_at - entry.received_at for entry in forwarded]),
        attempts=percentiles([entry.attempt_ms for entry in settled if entry.attempt_ms is not None]),
        waiting=activity.waiting,
    )


def percentiles(values: Sequence[float]) -> Percentiles | None:
    """Return the percentiles by nearest rank; None of nothing."""
    if not values:
        return None
    ordered = sorted(max(0, value) for value in values)

    def at(share: float) -> float:
        return ordered[math.ceil(share * len(ordered)) - 1]

    return Percentiles(at(0.5), at(0.9), at(0.99), ordered[-1])
