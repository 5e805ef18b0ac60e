"""Counters and histograms as plain numbers, for what every webhook counts; prometheus_client gets them at a scrape.

One thread alone may change them, that of the event loop, as an addition is more than one step; any may scrape. What
changes elsewhere, or seldom, is prometheus_client's own, which locks.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from math import inf
from typing import Any

from prometheus_client.core import CounterMetricFamily, Exemplar, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from gateway.telemetry.metric_names import Metric


class Exemplars:
    """Which traces stand beside a latency: any, for `gateway show`; while spans are exported, sampled ones alone.

    Only those can be looked up where spans go. `sampled_only` may be changed at any time.
    """

    def __init__(self) -> None:
        self.sampled_only = False


class Observed:
    """What was observed under one set of labels: how many in each bucket, their sum, the latest trace in each."""

    __slots__ = ("_bounds", "_exemplars", "counts", "latest", "sum")

    def __init__(self, bounds: Sequence[float], exemplars: Exemplars) -> None:
        self._bounds = bounds
        self._exemplars = exemplars
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self.latest: list[tuple[str, float, float] | None] = [None] * len(self.counts)

    def observe(self, value: float, traceparent: str) -> None:
        """Count a value in its bucket; the W3C traceparent of its trace, where it has one, stands there if it may."""
        bucket = bisect_left(self._bounds, value)
        self.counts[bucket] += 1
        self.sum += value
        if traceparent and (traceparent[-1] == "1" or not self._exemplars.sampled_only):
            self.latest[bucket] = (traceparent, value, time.time())


class Counter(Collector):
    """A counter; `counts` has a number by the values of the labels: a tuple, or the value where there is one label."""

    def __init__(self, metric: Metric) -> None:
        self._metric = metric
        self.counts: defaultdict[Any, float] = defaultdict(float)

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give the counter as it stands."""
        family = CounterMetricFamily(self._metric.name, self._metric.help, labels=self._metric.labels)
        for values, count in self.counts.copy().items():
            family.add_metric(_texts(values), count)
        yield family


class Histogram(Collector):
    """A histogram; `observed` has what was observed by the values of the labels, as the counts of a counter."""

    def __init__(self, metric: Metric, exemplars: Exemplars) -> None:
        self._metric = metric
        self._ends = [floatToGoString(bound) for bound in (*metric.bounds, inf)]  # type: ignore[no-untyped-call]
        self.observed: defaultdict[Any, Observed] = defaultdict(lambda: Observed(metric.bounds, exemplars))

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Give the histogram as it stands."""
        family = HistogramMetricFamily(self._metric.name, self._metric.help, labels=self._metric.labels)
        for values, observed in self.observed.copy().items():
            exemplars = map(_exemplar, observed.latest.copy())
            buckets = list(zip(self._ends, accumulate(observed.counts.copy()), exemplars, strict=True))
            family.add_metric(_texts(values), buckets, observed.sum)  # type: ignore[arg-type]
        yield family


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(map(str, values)) if isinstance(values, tuple) else (str(values),)


def _exemplar(latest: tuple[str, float, float] | None) -> Exemplar | None:
    if not latest:
        return None
    traceparent, value, at = latest
    return Exemplar({"trace_id": traceparent[3:35], "span_id": traceparent[36:52]}, value, at)
