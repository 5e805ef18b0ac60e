"""The metrics of gateway.telemetry.metric_names as objects of prometheus_client, and the text that scrapers read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client import exposition as plain
from prometheus_client.core import CounterMetricFamily
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from gateway.telemetry import lines
from gateway.telemetry.metric_names import LOG_DROPPED, Metric

OPENMETRICS = "application/openmetrics-text"
# One more series for each counter and histogram, which tells what process_start_time_seconds does.
disable_created_metrics()  # type: ignore[no-untyped-call]

T = TypeVar("T", Counter, Gauge, Histogram)


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
    """Makes metrics, and shows all that it made, those of the process and the dropped lines of the log."""

    def __init__(self) -> None:
        self.collectors = CollectorRegistry()
        ProcessCollector(registry=self.collectors)
        self.collectors.register(_LogLines())

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
        """Make a histogram, labelled where the metric is."""
        return Histogram(metric.name, metric.help, metric.labels, buckets=metric.bounds, registry=self.collectors)

    def histograms(self, metric: Metric) -> Children[Histogram]:
        """Make a labelled histogram."""
        return Children(self.histogram(metric))

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


class Exemplars:
    """Which traces stand beside a latency: any, for `gateway show`; while spans are exported, sampled ones alone.

    Only those can be looked up where spans go. `sampled_only` may be changed at any time.
    """

    def __init__(self) -> None:
        self.sampled_only = False

    def of(self, traceparent: str) -> dict[str, str] | None:
        """Return the exemplar that a W3C traceparent makes; None for none."""
        if not traceparent or (self.sampled_only and not traceparent.endswith("1")):
            return None
        return {"trace_id": traceparent[3:35], "span_id": traceparent[36:52]}


class _LogLines(Collector):
    """The dropped lines, which are counted before any registry is made."""

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Give the counter."""
        yield CounterMetricFamily(LOG_DROPPED.name, LOG_DROPPED.help, value=lines.dropped())
