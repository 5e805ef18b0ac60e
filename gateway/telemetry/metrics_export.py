"""The metrics to a collector by OTLP over HTTP, now and then: the same numbers as /metrics has, under the same names.

Endpoint, headers, timeout and compression are those of the variables that
https://opentelemetry.io/docs/specs/otel/protocol/exporter/ names, which the exporter reads itself.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics import export as sdk
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client import Metric
from prometheus_client.samples import Sample

from gateway.telemetry.registry import Registry
from gateway.telemetry.resource import PACKAGE, VERSION, resource

# As UCUM writes them: https://opentelemetry.io/docs/specs/semconv/general/metrics/#instrument-units
_UNITS = {"seconds": "s", "bytes": "By"}
_CUMULATIVE = sdk.AggregationTemporality.CUMULATIVE


class MetricsExport:
    """Sends what a registry holds every `seconds` from a thread of its own; one that does not arrive is not repeated.

    The next one tells the same and more, as all numbers count from the start.
    """

    def __init__(self, registry: Registry, seconds: float) -> None:
        self._registry = registry
        self._seconds = seconds
        self._started = time.time_ns()
        self._resource = resource()
        self._exporter = OTLPMetricExporter()
        self._closing = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="metrics export", daemon=True)
        self._thread.start()

    def close(self, seconds: float) -> None:
        """Send a last time, as far as the collector takes it within `seconds`."""
        deadline = time.monotonic() + seconds
        self._closing.set()
        self._thread.join(seconds)
        self._closed = True
        closing = threading.Thread(target=self._exporter.shutdown, name="metrics export end", daemon=True)
        closing.start()
        closing.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        ended = False
        while not ended and not self._closed:
            ended = self._closing.wait(self._seconds)
            self._exporter.export(self._collected(time.time_ns()))

    def _collected(self, now: int) -> sdk.MetricsData:
        families = self._registry.collectors.collect()
        metrics = [_metric(family, self._started, now) for family in families if family.samples]
        scope = sdk.ScopeMetrics(InstrumentationScope(PACKAGE, VERSION), metrics, "")
        return sdk.MetricsData([sdk.ResourceMetrics(self._resource, [scope], "")])


def _metric(family: Metric, started: int, now: int) -> sdk.Metric:
    """Return the OTLP form of a family; collectors write names, units and kinds back as Prometheus has them."""
    data: sdk.Sum | sdk.Gauge | sdk.Histogram
    if family.type == "histogram":
        data = sdk.Histogram([_histogram(part, started, now) for part in _parts(family.samples)], _CUMULATIVE)
    elif family.type == "counter":
        data = sdk.Sum([_number(sample, started, now) for sample in family.samples], _CUMULATIVE, is_monotonic=True)
    else:
        data = sdk.Gauge([_number(sample, now, now) for sample in family.samples])
    unit = _UNITS.get(family.name.rpartition("_")[2], "")
    return sdk.Metric(family.name, family.documentation, unit, data)


def _number(sample: Sample, started: int, now: int) -> sdk.NumberDataPoint:
    return sdk.NumberDataPoint(sample.labels, started, now, sample.value)


def _parts(samples: Iterable[Sample]) -> Iterator[tuple[dict[str, str], list[Sample], float]]:
    """Split the samples of a histogram by their labels: labels, buckets, sum."""
    buckets: list[Sample] = []
    for sample in samples:
        if sample.name.endswith("_bucket"):
            buckets.append(sample)
        elif sample.name.endswith("_sum"):
            yield sample.labels, buckets, sample.value
            buckets = []


def _histogram(part: tuple[dict[str, str], list[Sample], float], started: int, now: int) -> sdk.HistogramDataPoint:
    labels, buckets, total = part
    reached = [0, *(int(bucket.value) for bucket in buckets)]
    unknown: Any = None  # the least and the most are not kept
    return sdk.HistogramDataPoint(
        attributes=labels,
        start_time_unix_nano=started,
        time_unix_nano=now,
        count=reached[-1],
        sum=total,
        bucket_counts=[high - low for low, high in pairwise(reached)],
        explicit_bounds=[float(bucket.labels["le"]) for bucket in buckets[:-1]],
        min=unknown,
        max=unknown,
        exemplars=[_exemplar(bucket.exemplar) for bucket in buckets if bucket.exemplar],
    )


def _exemplar(exemplar: Any) -> Exemplar:
    ids = {name: int(exemplar.labels[name], 16) for name in ("trace_id", "span_id")}
    return Exemplar({}, exemplar.value, int(exemplar.timestamp * 1e9), **ids)
