"""The metrics of several workers as one text: series with the number of their worker, and once what all tell alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from gateway.telemetry import metric_names as names
from gateway.telemetry.registry import exposition

LABEL = "worker"
SUPERVISOR = "supervisor"

_SHARED = {metric.name for metric in names.METRICS if metric.shared}


def merged(texts: Mapping[str, str], accept: str) -> tuple[str, bytes]:
    """Return content type and text of the metrics of all, given as OpenMetrics by whose they are; as `accept` asks.

    Of those that tell of the inbox and of providers, which every worker does, the newest are taken.
    """
    parsed = {worker: list(_parse(text)) for worker, text in texts.items()}
    newest = max(parsed, key=lambda worker: _counted_at(parsed[worker]), default="")
    families: dict[str, Metric] = {}
    for worker, found in parsed.items():
        for family in found:
            if family.name in _SHARED and worker != newest:
                continue
            into = families.setdefault(family.name, Metric(family.name, family.documentation, family.type, family.unit))
            labels = {} if family.name in _SHARED else {LABEL: worker}
            into.samples += (sample._replace(labels={**labels, **sample.labels}) for sample in family.samples)
    registry = CollectorRegistry()
    registry.register(_Given(families))
    return exposition(registry, accept)


def _parse(text: str) -> Iterator[Metric]:
    yield from text_string_to_metric_families(text)  # type: ignore[no-untyped-call]


def _counted_at(families: list[Metric]) -> float:
    """Return when a worker last counted the inbox."""
    return max(
        (s.value for family in families if family.name == names.COUNTED_AT.name for s in family.samples), default=0
    )


class _Given(Collector):
    def __init__(self, families: Mapping[str, Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Any]:
        """Give them."""
        yield from self._families.values()
