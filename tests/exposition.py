"""Read the metrics of a gateway as a scraper does."""

from __future__ import annotations

from collections.abc import Mapping

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Scrape:
    """One scrape, parsed by the client library's own parser."""

    def __init__(self, text: str, *, accept: str = "") -> None:
        self.text = text
        parse = openmetrics if accept else text_string_to_metric_families
        self.families = list(parse(text))
        self.samples: list[Sample] = [sample for family in self.families for sample in family.samples]

    def value(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of a name that have these labels; 0 where there is none."""
        return sum(sample.value for sample in self.of(name, **labels))

    def of(self, name: str, **labels: str) -> list[Sample]:
        """Return the samples of a name that have these labels."""
        return [sample for sample in self.samples if sample.name == name and _has(sample.labels, labels)]


def _has(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(labels.get(name) == value for name, value in wanted.items())
