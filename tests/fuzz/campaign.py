"""The long form: ten million requests on all processors, a hundredth of them over real HTTP as well."""

from __future__ import annotations

import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from gateway import build
from gateway.config import load
from gateway.sources import Source
from tests.fuzz import engine, wire
from tests.fuzz.engine import Tally
from tests.fuzz.targets import Hall, Target, arrange, targets

REQUESTS = 10_000_000
SHARE = 20_000
HTTP_EVERY = 100
# The gateway process has a real clock, so what is sent to it is signed anew before the first window ends.
FRESH_SECONDS = 100
TOLD_EVERY = 500_000


class Worker:
    """One process of the campaign: it draws, verifies and posts the shares that it is given."""

    def __init__(self, hall: Hall, seed: int) -> None:
        self._hall = hall
        self._seed = seed
        self._sources: Mapping[str, Source] = build.sources(load(hall.path, hall.environ))
        self._targets: list[Target] = []
        self._signed_at = 0.0

    def run(self, numbers: range) -> Tally:
        """Return what became of the requests of these numbers."""
        if time.time() - self._signed_at > FRESH_SECONDS:
            self._signed_at = time.time()
            self._targets = targets(self._hall, int(self._signed_at * 1000), random.Random(self._seed))
        now = int(self._signed_at * 1000)
        tally = engine.run(self._targets, self._sources, self._seed, numbers, now)
        tally.add(wire.run(self._hall.port, self._targets, self._seed, numbers[::HTTP_EVERY]))
        return tally


_WORKERS: list[Worker] = []


def _begin(hall: Hall, seed: int) -> None:
    _WORKERS.append(Worker(hall, seed))


def _run(numbers: range) -> Tally:
    return _WORKERS[0].run(numbers)


def main(environ: Mapping[str, str]) -> int:
    """Fuzz, print what was found, and return the exit code."""
    requests = int(environ.get("FUZZ_REQUESTS") or REQUESTS)
    seed = int(environ.get("FUZZ_SEED") or random.SystemRandom().getrandbits(20))
    _say(f"seed {seed} (FUZZ_SEED={seed} draws the same again)")
    shares = [range(start, min(start + SHARE, requests)) for start in range(0, requests, SHARE)]
    tally, started = Tally(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        hall = arrange(Path(folder))
        context = multiprocessing.get_context("spawn")
        with (
            wire.running(hall),
            ProcessPoolExecutor(os.cpu_count(), context, initializer=_begin, initargs=(hall, seed)) as pool,
        ):
            told = 0
            for part in pool.map(_run, shares):
                tally.add(part)
                if tally.requests >= told + TOLD_EVERY:
                    told = tally.requests
                    _say(f"{told:,} requests, {len(tally.faults)} faults, {told / (time.monotonic() - started):,.0f}/s")
    return _report(tally, time.monotonic() - started)


def _report(tally: Tally, seconds: float) -> int:
    _say(f"\n{tally.requests:,} requests in {seconds:,.0f} s")
    for outcome, count in tally.outcomes.most_common():
        _say(f"  {count:>12,}  {outcome}")
    _say("the ones that took most, in milliseconds of CPU:")
    for spent, label in reversed(tally.worst):
        _say(f"  {spent:>12.2f}  {label}")
    for fault in tally.faults:
        _say(f"FAULT {fault}")
    _say("no faults" if not tally.faults else f"{len(tally.faults)} faults, of which the first are above")
    return 1 if tally.faults else 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
