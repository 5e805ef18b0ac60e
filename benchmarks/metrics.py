"""What counting and logging cost a request, in µs of the writer's thread: the client libraries, and the gateway's own.

Times of a shared machine are noise; the ratios are the figures. Each row is the median of several rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry, Counter, Histogram
from rich.console import Console
from rich.table import Table

from gateway.model import Delivery, SentEvent, Settlement, State
from gateway.telemetry import logs
from gateway.telemetry.logs import Log
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.registry import OPENMETRICS

CALLS = 5_000
ROUNDS = 9
TRACE = f"00-{'a' * 32}-{'b' * 16}-00"
LABELS = {"source": "stripe", "outcome": "accepted", "status": "200"}


def prometheus() -> dict[str, Callable[[], object]]:
    """Return the operations of prometheus_client."""
    registry = CollectorRegistry()
    counter = Counter("c", "c", [*LABELS], registry=registry)
    histogram = Histogram("h", "h", ["source"], registry=registry)
    child, seconds = counter.labels(**LABELS), histogram.labels("stripe")
    exemplar = {"trace_id": TRACE[3:35]}
    return {
        "prometheus_client: counter, its child kept": child.inc,
        "prometheus_client: counter, by its labels": lambda: counter.labels("stripe", "accepted", "200").inc(),
        "prometheus_client: histogram": lambda: seconds.observe(0.003),
        "prometheus_client: histogram with exemplar": lambda: seconds.observe(0.003, exemplar),
    }


def opentelemetry() -> dict[str, Callable[[], object]]:
    """Return the operations of OpenTelemetry's SDK."""
    meter = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False).get_meter("benchmark")
    counter, histogram = meter.create_counter("c"), meter.create_histogram("h")
    return {
        "opentelemetry-sdk: counter": lambda: counter.add(1, LABELS),
        "opentelemetry-sdk: histogram": lambda: histogram.record(0.003, {"source": "stripe"}),
    }


def gateway(nowhere: Path) -> dict[str, Callable[[], object]]:
    """Return what one accepted request counts and logs, what its settlement counts, and what a scrape takes."""
    logs.configure("json", "info", nowhere.open("w"))
    metrics, log = Metrics(), Log()
    delivery = Delivery(
        "stripe",
        "stripe",
        "evt_1NG8Du2eZvKYlo2CUI79vXWy",
        "invoice.paid",
        2,
        b"",
        secret="STRIPE",  # noqa: S106 - a label
        signed_at=1,
        traceparent=TRACE,
    )
    forwarded = Settlement(State.FORWARDED, events=(SentEvent("stripe_1", "stripe/invoice.paid"),))
    steps = {"read": 0.1, "verify": 0.2, "keep": 2.8}

    def count() -> None:
        metrics.intake.verified(delivery)
        metrics.intake.answered("stripe", "accepted", 200, seconds=0.003, size=2_800, refusal="", traceparent=TRACE)

    def write() -> None:
        log.request(
            source="stripe",
            outcome="accepted",
            status=200,
            bytes_in=2_800,
            ms=3.21,
            trace=TRACE,
            delivery=delivery,
            steps=steps,
        )

    def settle() -> None:
        metrics.forward.settled(delivery, forwarded, 3)

    count()
    settle()
    return {
        "gateway: all metrics of a request": count,
        "gateway: all metrics of a settlement": settle,
        "gateway: the line of a request": write,
        "gateway: a scrape": lambda: metrics.exposition(OPENMETRICS),
    }


def measure(operation: Callable[[], object], calls: int) -> float:
    """Return the µs of this thread that one call takes."""
    rounds = []
    for _ in range(ROUNDS):
        begun = time.thread_time()
        for _ in range(calls):
            operation()
        rounds.append((time.thread_time() - begun) / calls * 1e6)
        time.sleep(0.1)  # for what other threads have still to do
    return statistics.median(rounds)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=CALLS, help="calls of each operation per round")
    calls = parser.parse_args().calls
    table = Table("operation", "µs")
    for name, operation in {**prometheus(), **opentelemetry(), **gateway(Path(os.devnull))}.items():
        table.add_row(name, f"{measure(operation, 20 if 'scrape' in name else calls):.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
