"""`gateway try --diff`: how the events differ from what was sent, and from what the configured transform makes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from gateway import payload
from gateway.cli import report
from gateway.cli.options import line, write_json
from gateway.history import History
from gateway.model import SentEvent, StampedEvent
from gateway.shadow.differences import dotted, shown
from gateway.shadow.pairs import compare
from gateway.transform import Mapped, Stamped

COLUMNS = ("event", "field", "before", "after")
NAMES_ALONE = "Of what was sent the inbox keeps names and ids alone"

Row = tuple[str, str, str, str]


def tell(
    events: Sequence[StampedEvent], history: History | None, configured: Mapped | None, reference: str, *, json: bool
) -> None:
    """Say how events differ from those that were sent for a stored delivery, and from the configured transform's."""
    sent = rows(list(map(_identity, history.events)), list(map(_identity, events))) if history else None
    now = rows(_made(configured), events) if configured else None
    if json:
        write_json(
            {
                "events": [orjson.loads(event.body) for event in events],
                "sent": None if sent is None else _documents(sent),
                "configured": None if now is None else _documents(now),
            }
        )
        return
    if sent is not None and history:
        _tell_rows(f"Against what was sent ({history.entry.state})", sent)
        if now is None:
            line(f"{NAMES_ALONE}, so the data is not compared; --transform compares it with another transform's.")
    if now is not None:
        if sent is not None:
            line(f"{NAMES_ALONE}; the data is compared with what {reference} makes of it now.")
        _tell_rows(f"Against {reference}" + ("" if isinstance(configured, Stamped) else f" ({configured})"), now)


def rows(old: Sequence[StampedEvent], new: Sequence[StampedEvent]) -> list[Row]:
    """Return each difference as event id, field, and its values before and after."""
    return list(_rows(old, new))


def _rows(old: Sequence[StampedEvent], new: Sequence[StampedEvent]) -> Iterator[Row]:
    compared = compare(old, new)
    for event in compared.removed:
        yield event.id, "(the event)", event.name, "(absent)"
    for event in compared.added:
        yield event.id, "(the event)", "(absent)", event.name
    for event, found in compared.differing:
        for one in found:
            yield event.id, dotted(one.path, indexes=True), shown(one.old), shown(one.new)


def _made(mapped: Mapped) -> tuple[StampedEvent, ...]:
    return mapped.events if isinstance(mapped, Stamped) else ()


def _identity(event: SentEvent | StampedEvent) -> StampedEvent:
    """Return the event without what the inbox does not keep of it."""
    return StampedEvent(event.id, event.name, payload.dumps({"name": event.name, "id": event.id}))


def _tell_rows(title: str, found: list[Row]) -> None:
    line(f"{title}: {'no difference' if not found else ''}".rstrip(), "bold")
    if found:
        report.table(*COLUMNS, rows=found)


def _documents(found: list[Row]) -> list[dict[str, Any]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in found]
