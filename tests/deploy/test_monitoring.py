from __future__ import annotations

import json
import re
from collections.abc import Iterator

import yaml

from gateway.telemetry.metric_names import METRICS
from tests.deploy.deployed import DEPLOY, ROOT, program, run

RULES = [
    rule
    for group in yaml.safe_load((DEPLOY / "monitoring/alerts.yaml").read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = [rule for rule in RULES if "alert" in rule]
DASHBOARD = json.loads((DEPLOY / "monitoring/dashboard.json").read_text())
OPERATIONS = (ROOT / "docs/operations.md").read_text()

_KNOWN = {metric.name: metric for metric in METRICS}
_SERIES = re.compile(r"(?<![\w:])(gateway_\w+)(\{[^}]*\})?")
_GROUPED = re.compile(r"\b(?:by|without|on) \(([^)]*)\)")
_OF_HISTOGRAMS = re.compile(r"_(bucket|count|sum)$")
_GIVEN = {"le", "job", "instance"}


def _expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in RULES)
    yield from (target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    yield from (
        variable["query"]["query"]
        for variable in DASHBOARD["templating"]["list"]
        if isinstance(variable["query"], dict)
    )


def _unknown(expression: str) -> Iterator[str]:
    """Yield the metrics and labels of an expression that no metric has."""
    grouped = {label.strip() for group in _GROUPED.findall(expression) for label in group.split(",")}
    labels: set[str] = set(_GIVEN)
    for name, matchers in _SERIES.findall(expression):
        plain = _OF_HISTOGRAMS.sub("", name)
        metric = _KNOWN.get(plain if plain in _KNOWN and _KNOWN[plain].kind == "histogram" else name)
        if metric is None or (metric.kind == "histogram") != (plain != name):
            yield name
            continue
        labels |= set(metric.labels)
        matched = re.findall(r'(\w+)\s*[=!]~?"', matchers)
        yield from (f"{name}{{{label}}}" for label in matched if label not in {*metric.labels, *_GIVEN})
    yield from grouped - labels


def test_only_metrics_that_exist() -> None:
    """Alerts and dashboard refer to metrics and labels of the gateway alone, histograms by their series."""
    assert [found for expression in _expressions() for found in _unknown(expression)] == []
    assert sum("gateway_" in expression for expression in _expressions()) > 40


def test_bounds_that_exist() -> None:
    """An objective counts at a bound that its histogram has, as the exposition writes it."""
    for expression in _expressions():
        for name, bound in re.findall(r'(gateway_\w+)_bucket\{le="([^"]+)"\}', expression):
            assert float(bound) in _KNOWN[name].bounds
            assert bound == str(float(bound))


def test_recorded_series_are_recorded() -> None:
    """What an alert takes from a recording rule is recorded."""
    recorded = {rule["record"] for rule in RULES if "record" in rule}
    used = {name for rule in ALERTS for name in re.findall(r"gateway:\w+(?::\w+)*", rule["expr"])}
    assert used <= recorded


def test_every_alert_has_its_paragraph() -> None:
    """Each alert leads to a heading of docs/operations.md of its name, and no heading to an alert that is gone."""
    headings = re.findall(r"^### (Webhook\w+)$", OPERATIONS, re.MULTILINE)
    assert sorted(headings) == sorted(rule["alert"] for rule in ALERTS)
    for rule in ALERTS:
        assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_panels_do_not_overlap() -> None:
    """Each panel of the dashboard has its place and a title of its own."""
    cells = [
        (column, row)
        for panel in DASHBOARD["panels"]
        for place in [panel["gridPos"]]
        for column in range(place["x"], place["x"] + place["w"])
        for row in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(column for column, _ in cells) < 24
    assert len({panel["title"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_promtool_takes_the_rules() -> None:
    """Prometheus's own tool takes the rules, and they fire when they should and not before."""
    promtool = program("promtool")
    run(promtool, "check", "rules", DEPLOY / "monitoring/alerts.yaml")
    run(promtool, "test", "rules", DEPLOY / "monitoring/alerts.test.yaml")
