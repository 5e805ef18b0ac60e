"""Whether a webhook costs the same however much there is: `make bench-flat`.

Of each part one line a step is printed, and all are kept as a dated file. `stored` is deliveries in the inbox that are
done, `backlog` such as wait (and how fast they drain while more come), `sources` those that are configured, and
`bodies` the bytes of one. Memory is the highest until then.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from benchmarks import load, measuring, results, traffic
from benchmarks.contenders import event_api, gateway, running
from benchmarks.measuring import ARRIVAL_SECONDS
from benchmarks.process import Process

SAMPLE = 3_000
ROUNDS = 7
CHUNK = 20_000
STEPS = 4
BODIES = (1_000, 2_800, 10_000, 100_000, 1_000_000, 5_000_000)
DEFAULT_LIMIT = 500_000
LARGE_BODIES_BYTES = 100_000_000
BODY_LIMIT = "body_limit_bytes = 6000000\n"
EVENT_LIMITS = "event_api.max_event_bytes = 6000000\nevent_api.max_request_bytes = 6000000\n"
SOURCE = '[sources.s{}]\nprovider = "stripe"\nsecrets = ["file:secret"]\n'
INTAKE_RATE = 100
INTAKE_SECONDS = 5.0
Row = dict[str, Any]


@contextmanager
def served(more: str = "", settings: str = "", *, forwards: bool = True) -> Iterator[tuple[Process, Process]]:
    """Run a gateway and its event API."""
    with tempfile.TemporaryDirectory() as folder, event_api() as api:
        contender = gateway("gateway", settings, more, forwards=forwards)
        with running(contender, Path(folder) / "gateway", f"http://127.0.0.1:{api.port}") as process:
            yield process, api


def stored(count: int) -> Iterator[Row]:
    """Measure each time that another part of `count` is stored and done, in turns with a gateway that has nothing."""
    with served() as (process, api), served() as (empty, empty_api):
        held = 0
        for step in range(STEPS + 1):
            held += _send(process, count * step // STEPS - held)
            measuring.await_events(api, held, math.inf)
            turns = [(_sample(process, api), _sample(empty, empty_api)) for _ in range(ROUNDS)]
            found, without = (
                sorted(rows, key=lambda row: row["per_second"])[ROUNDS // 2] for rows in zip(*turns, strict=True)
            )
            yield {"stored": held, **found, **{f"{name}_with_nothing": value for name, value in without.items()}}
            held += SAMPLE * ROUNDS


def backlog(count: int) -> Iterator[Row]:
    """Let deliveries wait for an event API that refuses, then let it take them while more come."""
    with served(forwards=False) as (process, api):
        held = 0
        for step in range(STEPS + 1):
            held += _send(process, count * step // STEPS - held)
            process.settled_cpu()
            found = measuring.capacity(process, api, _requests(process, SAMPLE), forwards=False)
            yield {"backlog": held, **_told(found, process)}
            held += SAMPLE
        yield _drain(process, api, held)


def sources(count: int) -> Iterator[Row]:
    """Measure with one source and with `count`, all of which are sent to in turns."""
    for number in (1, count):
        more = "".join(SOURCE.format(n) for n in range(number))
        with served(more) as (process, api):
            paths = [f"/webhooks/s{n % number}" for n in range(SAMPLE)]
            contents = traffic.bodies(SAMPLE)
            requests = [
                request
                for path, body in zip(paths, contents, strict=True)
                for request in traffic.requests([body], process.port, path)
            ]
            _send(process, SAMPLE)
            yield {"sources": number, **_measure(process, api, requests)}


def bodies(_: int) -> Iterator[Row]:
    """Measure with bodies of each size."""
    for size in BODIES:
        with served(BODY_LIMIT, EVENT_LIMITS if size > DEFAULT_LIMIT else "") as (process, api):
            contents = traffic.bodies(min(SAMPLE, LARGE_BODIES_BYTES // size), size)
            _send(process, SAMPLE)
            found = _measure(process, api, traffic.requests(contents, process.port))
            yield {"bytes": size, **found, "cpu_us_per_kb": round(found["cpu_us"] / size * 1000, 1)}


PARTS: dict[str, Callable[[int], Iterator[Row]]] = {
    "stored": stored,
    "backlog": backlog,
    "sources": sources,
    "bodies": bodies,
}


def _measure(process: Process, api: Process, requests: list[bytes]) -> Row:
    return _told(measuring.capacity(process, api, requests, forwards=True), process)


def _sample(process: Process, api: Process) -> Row:
    return _measure(process, api, _requests(process, SAMPLE))


def _told(found: measuring.Capacity, process: Process) -> Row:
    return {"cpu_us": round(found.cpu_us), "per_second": round(found.rate), "peak_mb": round(process.peak_mb)}


def _requests(process: Process, count: int) -> list[bytes]:
    return traffic.requests(traffic.bodies(count), process.port)


def _send(process: Process, count: int) -> int:
    """Send webhooks that are not measured; return how many."""
    for begin in range(0, count, CHUNK):
        number = min(CHUNK, count - begin)
        measuring.require_all(uvloop.run(load.closed(process.port, _requests(process, number))), number)
    return max(0, count)


def _drain(process: Process, api: Process, held: int) -> Row:
    measuring.accept(api)
    measuring.await_events(api, held // 100, math.inf)  # it takes its time to ask again
    begun, first, cpu = time.perf_counter(), measuring.taken(api), process.cpu
    answers = measuring.latencies(process, INTAKE_RATE, INTAKE_SECONDS)
    measuring.await_events(api, held, max(ARRIVAL_SECONDS, held / 500))
    drained, seconds = measuring.taken(api) - first, time.perf_counter() - begun
    return {
        "drained": drained,
        "per_second": round(drained / seconds),
        "cpu_us": round((process.cpu - cpu) / drained * 1e6),
        "p99_ms_meanwhile": round(answers.percentile(0.99), 1),
        "peak_mb": round(process.peak_mb),
    }


def main() -> None:
    """Measure the parts that are named, or all, and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, action="append", help="one or several; all of them unless given")
    parser.add_argument("--stored", type=int, default=200_000, help="deliveries stored, and waiting, at most")
    parser.add_argument("--sources", type=int, default=1_000)
    options = parser.parse_args()
    described = results.machine()
    for name in options.part or PARTS:
        rows: list[Row] = []
        for row in PARTS[name](options.sources if name == "sources" else options.stored):
            rows.append(row)
            Console(width=160).print(name, row)
        results.write(f"flat-{name}", described, {"rows": rows})


if __name__ == "__main__":
    main()
