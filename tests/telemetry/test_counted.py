"""What is counted as plain numbers is shown as prometheus_client shows its own, on whatever thread it is read."""

from __future__ import annotations

import re
import time

import prometheus_client
import pytest

from gateway.telemetry.metric_names import END_TO_END, REQUESTS
from gateway.telemetry.registry import OPENMETRICS, Registry
from tests.exposition import Scrape

# Under, on and over bounds, and beyond the last.
VALUES = (0.0, 0.01, 0.05, 0.050001, 0.1, 2.4, 2.5, 86_400.0, 86_400.5, 1e7)
SOURCES = ("stripe", 'a "quoted" one')


def traceparent(number: int, *, sampled: bool = False) -> str:
    """Return the traceparent of a trace and span of this number."""
    return f"00-{number:032x}-{number:016x}-0{sampled:d}"


def shown(registry: Registry, accept: str) -> list[str]:
    """Return the lines of the gateway's own metrics, without the times of exemplars."""
    lines = registry.exposition(accept)[1].decode().splitlines()
    return [re.sub(r"( # \{.*\} \S+) \S+$", r"\1", line) for line in lines if "gateway_re" in line or "_end_" in line]


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_it_is_shown_as_prometheus_clients_own(accept: str) -> None:
    """Names, help, order, labels, buckets, sums and exemplars are the same, line by line, and so is emptiness."""
    ours, theirs = Registry(), Registry()
    counts, counter = ours.counts(REQUESTS), theirs.counters(REQUESTS)
    observed = ours.observed(END_TO_END)
    histogram = prometheus_client.Histogram(
        END_TO_END.name, END_TO_END.help, END_TO_END.labels, buckets=END_TO_END.bounds, registry=theirs.collectors
    )
    assert shown(ours, accept) == shown(theirs, accept)
    for number, value in enumerate(VALUES * 2, start=1):
        source, trace = SOURCES[number % 2], traceparent(number) if number % 3 else ""
        counts[source, "accepted", 200 + number % 4] += number
        counter[source, "accepted", 200 + number % 4].inc(number)
        observed[source].observe(value, trace)
        exemplar = {"trace_id": f"{number:032x}", "span_id": f"{number:016x}"} if trace else None
        histogram.labels(source).observe(value, exemplar)
    told = shown(ours, accept)
    assert told == shown(theirs, accept)
    assert sum("_bucket" in line for line in told) == 2 * (len(END_TO_END.bounds) + 1)
    assert any(" # {" in line for line in told) == bool(accept)


def test_the_latest_trace_of_a_bucket_stands_there_while_any_may() -> None:
    """From when sampled traces alone are to be shown, later ones that are not take nobody's place."""
    registry, begun = Registry(), time.time()
    observed = registry.observed(END_TO_END)
    observed["stripe"].observe(0.06, traceparent(1))
    observed["stripe"].observe(0.07, traceparent(2))
    observed["stripe"].observe(3.0, traceparent(3))
    registry.exemplars.sampled_only = True
    observed["stripe"].observe(0.08, traceparent(4))
    observed["stripe"].observe(4.0, traceparent(5, sampled=True))
    told = Scrape(registry.exposition(OPENMETRICS)[1].decode(), accept=OPENMETRICS)
    exemplars = [sample.exemplar for sample in told.of(END_TO_END.name + "_bucket") if sample.exemplar]
    assert [(int(exemplar.labels["trace_id"], 16), exemplar.value) for exemplar in exemplars] == [(2, 0.07), (5, 4.0)]
    assert all(begun - 1 < float(exemplar.timestamp or 0) < time.time() + 1 for exemplar in exemplars)


def test_labels_may_come_up_during_a_scrape() -> None:
    """A scrape shows the series there were when it began; those that come up meanwhile are in the next."""
    registry = Registry()
    counts, observed = registry.counts(REQUESTS), registry.observed(END_TO_END)

    class Meanwhile:
        """A source whose name, when it is read for a scrape, lets the event loop count another."""

        def __str__(self) -> str:
            counts["another", "accepted", 200] += 1
            observed["another"].observe(0.2, "")
            return "stripe"

    source = Meanwhile()
    counts[source, "accepted", 200] += 1
    observed[source].observe(0.2, "")
    names = (REQUESTS.name, END_TO_END.name + "_count")
    first, second = [Scrape(registry.exposition()[1].decode()) for _ in range(2)]
    assert [first.value(name, source="stripe") for name in names] == [1, 1]
    assert first.of(REQUESTS.name, source="another") == []
    assert all(second.of(name, source="another") for name in names)
