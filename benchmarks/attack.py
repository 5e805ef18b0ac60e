"""What it costs to refuse, and whether those who are not refused notice: `make bench-attack`.

Each kind of attack is measured alone, in CPU-µs a request beside those of a good one; then good webhooks come at a
fixed rate, alone and while attackers, in a process of their own, send five times as much.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from benchmarks import load, measuring, results, traffic
from benchmarks.contenders import event_api, gateway, running
from benchmarks.process import Process

SAMPLE = 3_000
SECONDS = 8.0
TIMES = 5
Make = Callable[[int, int], list[bytes]]


def bad_signatures(count: int, port: int) -> list[bytes]:
    """Return requests signed with another secret."""
    return traffic.requests(traffic.bodies(count), port, secret="whsec_of_someone_else")  # noqa: S106 - it is none


def unsigned(count: int, port: int) -> list[bytes]:
    """Return requests without a signature."""
    return [request.replace(b"Stripe-Signature", b"X-Not-Signature") for request in bad_signatures(count, port)]


def unknown_sources(count: int, port: int) -> list[bytes]:
    """Return requests to sources that do not exist."""
    return traffic.requests(traffic.bodies(count), port, path="/webhooks/nobody")


def oversized(count: int, port: int) -> list[bytes]:
    """Return requests that announce more than is taken, and send 2.8 KB of it."""
    return [
        request.replace(b"Content-Length: ", b"Content-Length: 9999")
        for request in traffic.requests(traffic.bodies(count), port)
    ]


ATTACKS: dict[str, Make] = {
    "bad signature": bad_signatures,
    "no signature": unsigned,
    "unknown source": unknown_sources,
    "oversized": oversized,
}


def cost(process: Process, requests: list[bytes]) -> float:
    """Return the CPU-µs of a request of one kind."""
    before = process.cpu
    uvloop.run(load.closed(process.port, requests))
    return (process.settled_cpu() - before) / len(requests) * 1e6


def assault(port: int, rate: float, seconds: float, ready: Event) -> None:
    """Send all kinds of attacks in turns, at a rate of all together; making them is not part of it."""
    each = int(rate * seconds) // len(ATTACKS)
    kinds = [make(each, port) for make in ATTACKS.values()]
    ready.set()
    uvloop.run(load.paced(port, [request for turn in zip(*kinds, strict=True) for request in turn], rate))


def main() -> None:
    """Measure, print and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200, help="good webhooks a second under attack")
    options = parser.parse_args()
    described, rows = results.machine(), []

    def tell(**row: Any) -> None:
        rows.append(row)
        Console(width=160).print(row)

    with ExitStack() as stack:
        folder, api = Path(stack.enter_context(tempfile.TemporaryDirectory())), stack.enter_context(event_api())
        url = f"http://127.0.0.1:{api.port}"
        process = stack.enter_context(running(gateway("gateway"), folder / "gateway", url))
        for make in (traffic_of, *ATTACKS.values()):
            cost(process, make(SAMPLE // 10, process.port))
        for name, make in {"good": traffic_of, **ATTACKS}.items():
            tell(kind=name, cpu_us=round(cost(process, make(SAMPLE, process.port)), 1))
        for times in (0, TIMES):
            context = multiprocessing.get_context("spawn")
            ready = context.Event()
            attackers = context.Process(
                target=assault, args=(process.port, options.rate * times, SECONDS * 2, ready), daemon=True
            )
            if times:
                attackers.start()
                ready.wait()
            answers = measuring.latencies(process, options.rate, SECONDS)
            tell(attacks_per_good=times, **measuring.told(answers), peak_mb=round(process.peak_mb))
            if times:
                attackers.join()
    results.write("attack", described, {"good_per_second": options.rate, "rows": rows})


def traffic_of(count: int, port: int) -> list[bytes]:
    """Return good webhooks."""
    return traffic.requests(traffic.bodies(count), port)


if __name__ == "__main__":
    main()
