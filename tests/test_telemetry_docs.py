"""docs/telemetry.md names every metric and log event, and the README every setting."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from gateway.config import schema
from gateway.model import Delivery
from gateway.telemetry.logs import Log
from gateway.telemetry.metric_names import METRICS, Metric

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "telemetry.md").read_text()
README = (ROOT / "README.md").read_text()
TRACE = f"00-{'a' * 32}-{'b' * 16}-00"
DELIVERY = Delivery("stripe", "stripe", "evt_1", "made", 0, b"", secret="first", traceparent=TRACE)
OF_EVERY_LINE = {"event", "level", "timestamp", "delivery_id", "type", "secret", "trace_id"}
STEPS = ("read", "verify", "keep")
VALUES: dict[Any, Any] = {
    str: "text",
    int: 1,
    float: 1.0,
    int | None: 1,
    float | None: 1.0,
    Sequence[str]: ["text"],
    Delivery: DELIVERY,
    Delivery | None: DELIVERY,
    BaseException: ValueError(),
    BaseException | None: ValueError(),
    Mapping[str, float] | None: dict.fromkeys(STEPS, 1.0),
}


class Recorder:
    """A logger that keeps the names and fields of its lines, by event and level."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __getattr__(self, level: str) -> Callable[..., None]:
        """Return what takes a line of a level."""
        return lambda event, **fields: self.lines.append((event, level, fields))


def rows(heading: str) -> dict[str, list[str]]:
    """Return the cells of the tables below a heading of the page, by their first one."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    lines = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {cells[0].strip().strip("`"): [cell.strip() for cell in cells[1:]] for cells in lines}


def methods() -> list[str]:
    """Return the names of the events' methods."""
    return [name for name, value in vars(Log).items() if inspect.isfunction(value) and not name.startswith("_")]


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_every_metric_is_documented(metric: Metric) -> None:
    """Its row has its kind, its labels and what it tells."""
    kind, labels, text = rows("Metrics")[metric.name]
    assert (kind, text) == (metric.kind, metric.help)
    assert tuple(re.findall(r"`(\w+)`", labels)) == metric.labels


def test_no_other_metric_is_documented() -> None:
    """What the page names there is."""
    known = {metric.name for metric in METRICS}
    named = set(re.findall(r"`(gateway_\w+)`", PAGE))
    assert named - known == set()


@pytest.mark.parametrize("method", methods())
def test_every_log_event_is_documented(method: str) -> None:
    """Its row names the level and each field that the line may have."""
    recorder = Recorder()
    call = getattr(Log(recorder), method)
    hints = typing.get_type_hints(getattr(Log, method))
    arguments = dict(_arguments(inspect.signature(call), hints))
    call(**arguments)
    [(event, level, fields)] = recorder.lines
    levels, named, text = rows("Log")[event]
    assert level in levels.split(", ")
    assert text
    exception = {"exception"} if fields.pop("exc_info", None) else set()
    assert {*fields, *exception} - OF_EVERY_LINE - {"level"} <= set(re.findall(r"`(\w+)`", named))


def test_no_other_log_event_is_documented() -> None:
    """What the page's table of events names there is."""
    recorder = Recorder()
    for method in methods():
        call = getattr(Log(recorder), method)
        hints = typing.get_type_hints(getattr(Log, method))
        call(**dict(_arguments(inspect.signature(call), hints)))
    assert set(rows("Log")) == {event for event, _, _ in recorder.lines} | {"log_lines_dropped"}


def _arguments(signature: inspect.Signature, hints: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in signature.parameters:
        hint = hints[name]
        yield name, typing.get_args(hint)[0] if typing.get_origin(hint) is typing.Literal else VALUES[hint]


def settings() -> list[str]:
    """Return every key of gateway.toml outside of the tables that have pages of their own."""
    document = schema()
    kinds = document["$defs"]
    return [
        f"{table}.{key}"
        for table, entry in document["properties"].items()
        if "$ref" in entry
        for key in kinds[entry["$ref"].rpartition("/")[2]]["properties"]
    ]


@pytest.mark.parametrize("setting", settings())
def test_every_setting_is_documented(setting: str) -> None:
    """The README's table of settings has it; those of a source are held by tests/test_readme.py."""
    assert f"`{setting}`" in README
