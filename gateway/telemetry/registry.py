"""The metrics of gateway.telemetry.metric_names as plain numbers or prometheus_client's, and what scrapers read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client import exposition as plain
from prometheus_client.core import CounterMetricFamily
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from gateway.telemetry import counted, lines
from gateway.telemetry.metric_names import LOG_DROPPED, Metric

OPENMETRICS = "application/openmetrics-text"
# One more series for each counter and histogram, which tells what process_start_time_seconds does.
disable_created_metrics()  # type: ignore[no-untyped-call]

T = TypeVar("T", Counter, Gauge)


class Children(dict[Any, T], Generic[T]):
    """The children of a labelled metric by the values of its labels: a tuple, or the value where there is one label.

    Looking one up in a dictionary costs a fraction of what `labels` does.
    """

    def __init__(self, family: T) -> None:
        super().__init__()
        self._family: T = family

    def __missing__(self, values: Any) -> T:
        child = self._family.labels(*(values if isinstance(values, tuple) else (values,)))
        self[values] = child
        return child

    def forget(self) -> None:
        """Show no child any more, so that those set from now on are all there is."""
        self._family.clear()
        self.clear()


class Registry:
    """Makes metrics, and shows all that it made, those of the process and the dropped lines of the log.

    `exemplars` says which traces stand in histograms.
    """

    def __init__(self) -> None:
        self.exemplars = counted.Exemplars()
        self.collectors = CollectorRegistry()
        ProcessCollector(registry=self.collectors)
        self.collectors.register(_LogLines())

    def counts(self, metric: Metric) -> defaultdict[Any, float]:
        """Make a labelled counter that the event loop's thread alone adds to: numbers by the values of the labels."""
        counter = counted.Counter(metric)
        self.collectors.register(counter)
        return counter.counts

    def observed(self, metric: Metric) -> defaultdict[Any, counted.Observed]:
        """Make a labelled histogram with exemplars, in which the event loop's thread alone observes."""
        histogram = counted.Histogram(metric, self.exemplars)
        self.collectors.register(histogram)
        return histogram.observed

    def counters(self, metric: Metric) -> Children[Counter]:
        """Make a labelled counter."""
        return Children(Counter(metric.name, metric.help, metric.labels, registry=self.collectors))

    def gauge(self, metric: Metric) -> Gauge:
        """Make a gauge, labelled where the metric is."""
        return Gauge(metric.name, metric.help, metric.labels, registry=self.collectors)

    def gauges(self, metric: Metric) -> Children[Gauge]:
        """Make a labelled gauge."""
        return Children(self.gauge(metric))

    def histogram(self, metric: Metric) -> Histogram:
        """Make a histogram without labels."""
        return Histogram(metric.name, metric.help, buckets=metric.bounds, registry=self.collectors)

    def exposition(self, accept: str = "") -> tuple[str, bytes]:
        """Return content type and text, as `accept` asks."""
        return exposition(self.collectors, accept)


def exposition(collectors: CollectorRegistry, accept: str) -> tuple[str, bytes]:
    """Return content type and text: OpenMetrics with exemplars where `accept`, the header, asks for it.

    Prometheus' own text format else. https://prometheus.io/docs/instrumenting/content_negotiation/
    """
    if OPENMETRICS in accept:
        text = openmetrics.generate_latest(collectors)  # type: ignore[no-untyped-call]
        return f"{OPENMETRICS}; version=1.0.0; charset=utf-8", text
    return plain.CONTENT_TYPE_PLAIN_0_0_4, plain.generate_latest(collectors)


class _LogLines(Collector):
    """The dropped lines, which are counted before any registry is made."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give the counter."""
        yield CounterMetricFamily(LOG_DROPPED.name, LOG_DROPPED.help, value=lines.dropped())
