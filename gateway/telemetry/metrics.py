"""The gateway's metrics: one registry, what is counted where, and the exposition that scrapers read."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, exposition
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.process_collector import ProcessCollector

from gateway.telemetry import metric_names as names
from gateway.telemetry.metric_names import Metric

T = TypeVar("T", bound=MetricWrapperBase)

OPENMETRICS = "application/openmetrics-text"
# One more series for each counter and histogram, which tells what process_start_time_seconds does.
disable_created_metrics()


class Children(dict[Any, T], Generic[T]):
    """The children of a labelled metric by the values of its labels: a tuple, or the value where there is one label.

    Looking one up in a dictionary costs a tenth of what `labels` does.
    """

    def __init__(self, family: T) -> None:
        super().__init__()
        self._family = family

    def __missing__(self, values: Any) -> T:
        child = self._family.labels(*(values if isinstance(values, tuple) else (values,)))
        self[values] = child
        return child

    def forget(self) -> None:
        """Show no child any more, so that those set from now on are all there is."""
        self._family.clear()
        self.clear()


class Metrics:
    """Everything that is counted and measured in one process.

    The values may be changed on any thread. `traced` tells that traces are exported: exemplars then name sampled
    traces alone, which can be looked up there.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.traced = False
        self._give_up = self._gauges(names.GIVE_UP)
        self._spans_dropped = self._counters(names.SPANS_DROPPED)
        self._gauges(names.BUILD)[version("webhook-event-gateway"), platform.python_version()].set(1)

    def give_up(self, seconds: Mapping[str, float]) -> None:
        """Set, by source, how long until the provider gives up; the clocks of other sources do not run."""
        self._give_up.forget()
        for source, left in seconds.items():
            self._give_up[source].set(left)

    def spans_dropped(self, reason: str, count: int = 1) -> None:
        """Count spans that did not reach the collector: `queue` was full, or `export` failed."""
        self._spans_dropped[reason].inc(count)

    def exposition(self, accept: str = "") -> tuple[str, bytes]:
        """Return content type and text: OpenMetrics with exemplars where `accept`, the header, asks for it.

        Prometheus' own text format else. https://prometheus.io/docs/instrumenting/content_negotiation/
        """
        if OPENMETRICS in accept:
            return f"{OPENMETRICS}; version=1.0.0; charset=utf-8", openmetrics.generate_latest(self.registry)
        return exposition.CONTENT_TYPE_PLAIN_0_0_4, exposition.generate_latest(self.registry)

    def _gauges(self, metric: Metric) -> Children[Gauge]:
        return Children(Gauge(metric.name, metric.help, metric.labels, registry=self.registry))

    def _counters(self, metric: Metric) -> Children[Counter]:
        return Children(Counter(metric.name, metric.help, metric.labels, registry=self.registry))
