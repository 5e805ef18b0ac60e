"""Draw requests, have them verified, and judge each verdict; every request follows from a seed and its number."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway import diagnosis
from gateway.model import Delivery, Reply, Request
from gateway.rejections import RequestRejected
from gateway.sources import Source
from gateway.verify import verify
from tests.fuzz.mutations import mutate
from tests.fuzz.oracle import Verdict, faults
from tests.fuzz.strangers import stranger
from tests.fuzz.targets import Target

BUDGET_MS = 50.0
WORST = 10
MOST_FAULTS = 20
DIAGNOSED = 1_000
STRANGERS = 0.15


@dataclass(frozen=True, slots=True)
class Drawn:
    """One request: what it was made of and how, and for which target."""

    target: Target
    genuine: Request
    request: Request
    how: str


@dataclass
class Tally:
    """What became of many requests; `worst` are the milliseconds of CPU that the slowest took, and which they were."""

    requests: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    worst: list[tuple[float, str]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def count(self, outcome: str, spent: float, label: str, faults: list[str]) -> None:
        """Take in one request, which took so many milliseconds of CPU."""
        self.requests += 1
        self.outcomes[outcome] += 1
        if len(self.worst) < WORST or spent > self.worst[0][0]:
            self.worst = sorted([*self.worst, (spent, label)])[-WORST:]
        if faults and len(self.faults) < MOST_FAULTS:
            self.faults += [f"{label}: {fault}" for fault in faults]

    def add(self, other: Tally) -> None:
        """Take in another tally."""
        self.requests += other.requests
        self.outcomes += other.outcomes
        self.worst = sorted([*self.worst, *other.worst])[-WORST:]
        self.faults = [*self.faults, *other.faults][:MOST_FAULTS]


def draw(targets: list[Target], seed: int, number: int) -> Drawn:
    """Return the request of a number."""
    rng = random.Random((seed << 40) | number)
    target = rng.choice(targets)
    genuine, other = rng.sample(target.genuine, 2)
    if rng.random() < STRANGERS:
        return Drawn(target, genuine, stranger(rng, target, genuine), "stranger")
    request, how = mutate(rng, genuine, other)
    return Drawn(target, genuine, request, how)


def run(targets: list[Target], sources: Mapping[str, Source], seed: int, numbers: Iterable[int], now: int) -> Tally:
    """Verify the requests of these numbers at a time (unix milliseconds); return what became of them."""
    tally = Tally()
    for number in numbers:
        drawn = draw(targets, seed, number)
        label = f"{number} {drawn.target.source.name} {drawn.how}"
        verdict, spent = judged(drawn, now)
        if spent > BUDGET_MS:
            # A busy machine is not what is measured, so the least of several counts.
            spent = min(spent, *(judged(drawn, now)[1] for _ in range(9)))
        found = [*faults(drawn.target, drawn.genuine, drawn.request, verdict)]
        if isinstance(verdict, RequestRejected) and number % DIAGNOSED == 0:
            found += _explained(drawn, verdict, sources, now)
        if spent > BUDGET_MS:
            found.append(f"it took {spent:.0f} ms of CPU, and {BUDGET_MS:.0f} are allowed")
        tally.count(outcome(verdict), spent, label, found)
    return tally


def judged(drawn: Drawn, now: int) -> tuple[Verdict, float]:
    """Return the verdict on a request, and the milliseconds of CPU that it took."""
    started = time.thread_time_ns()
    try:
        verdict: Verdict = verify(drawn.request, drawn.target.source, now)
    except Exception as error:  # noqa: BLE001 - what verify raises is what is under test
        verdict = error
    return verdict, (time.thread_time_ns() - started) / 1e6


def outcome(verdict: Verdict) -> str:
    """Return the name under which a verdict is counted."""
    match verdict:
        case RequestRejected():
            return verdict.label
        case Delivery():
            return "accepted"
        case Reply():
            return "handshake"
    return type(verdict).__name__


def _explained(drawn: Drawn, rejection: RequestRejected, sources: Mapping[str, Source], now: int) -> list[str]:
    """Explain a rejection as `gateway doctor` does, which must find something and give no secret away."""
    try:
        findings = diagnosis.explain(drawn.request, rejection.label, drawn.target.source, sources, now)
    except Exception as error:  # noqa: BLE001 - what explain raises is what is under test
        return [f"explain raised {type(error).__name__}: {error}"]
    text = " ".join(str(finding) for finding in findings)
    if not findings or any(secret in text for secret in drawn.target.source.secrets):
        return ["explain found nothing, or told the secret"]
    return []
