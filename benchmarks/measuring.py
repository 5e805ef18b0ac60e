"""One measurement: load a contender, wait until it has done all that follows, and tell what that took."""

from __future__ import annotations

import time
import urllib.request
from dataclasses import dataclass

import uvloop

from benchmarks import load, traffic
from benchmarks.process import Process

ARRIVAL_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a load with busy connections found: webhooks per second until the last was through, CPU-µs of each."""

    rate: float
    answers_rate: float
    cpu_us: float
    load_cpu_us: float
    event_api_cpu_us: float


def capacity(server: Process, event_api: Process, requests: list[bytes], *, forwards: bool) -> Capacity:
    """Measure what a contender takes when it is never left without work; every answer must be 200."""
    count, before = len(requests), taken(event_api)
    cpu, api_cpu, own_cpu = server.cpu, event_api.cpu, time.process_time()
    begun = time.perf_counter()
    result = uvloop.run(load.closed(server.port, requests))
    own_cpu = time.process_time() - own_cpu
    require_all(result, count)
    if forwards:
        await_events(event_api, before + count)
    seconds = time.perf_counter() - begun if forwards else result.seconds
    cpu, api_cpu = server.settled_cpu() - cpu, event_api.cpu - api_cpu
    each = 1e6 / count
    return Capacity(count / seconds, result.rate, cpu * each, own_cpu * each, api_cpu * each)


def latencies(server: Process, rate: float, seconds: float) -> load.Result:
    """Measure how long answers take at a fixed rate of arrivals, whatever they are."""
    requests = traffic.requests(traffic.bodies(int(rate * seconds)), server.port)
    return uvloop.run(load.paced(server.port, requests, rate))


def told(result: load.Result) -> dict[str, float]:
    """Return what a load at a fixed rate found: milliseconds, and how many answers were not 200."""
    return {
        "p50_ms": round(result.percentile(0.5), 2),
        "p99_ms": round(result.percentile(0.99), 2),
        "p999_ms": round(result.percentile(0.999), 2),
        "not_200": result.statuses.total() - result.statuses[200],
    }


def require_all(result: load.Result, count: int) -> None:
    """End the benchmark where anything but the answer 200 was measured."""
    if result.statuses != {200: count}:
        raise SystemExit(f"not all of {count} requests were answered 200: {dict(result.statuses)}")


def taken(event_api: Process) -> int:
    """Return how many events the event API has taken."""
    return int(_ask(event_api, "/count"))


def accept(event_api: Process) -> None:
    """Let the event API take what it refused."""
    _ask(event_api, "/accept")


def _ask(event_api: Process, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{event_api.port}{path}", timeout=5) as answer:
        told: bytes = answer.read()
        return told


def await_events(event_api: Process, count: int, within: float = ARRIVAL_SECONDS) -> None:
    """Wait until the event API has taken this many."""
    deadline = time.monotonic() + within
    while (found := taken(event_api)) < count:
        if time.monotonic() > deadline:
            raise SystemExit(f"only {found} of {count} events came to the event API in {within:g} s")
        time.sleep(0.02)
