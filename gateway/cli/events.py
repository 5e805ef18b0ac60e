"""`gateway events`: the names of all events that were sent, as the inbox remembers them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import typer

from gateway.cli import report
from gateway.cli.options import ConfigOption, JsonOption, SourceOption, complain, line, load_to_look, write_json
from gateway.cli.store import inbox_name, read
from gateway.history import EventName
from gateway.inbox.contract import Inbox

STEP = 5_000


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(events)


def events(*, source: SourceOption = "", config: ConfigOption = None, json: JsonOption = False) -> None:
    """List the names of the events sent, with how often, since when and until when, and the id of one.

    Looks back as far as the inbox does, which is inbox.retention_days.
    """
    loaded = load_to_look(config)
    found = read(loaded, lambda inbox: seen(inbox, source, 0))
    if json:
        write_json([_document(name) for name in found])
        return
    if not found:
        complain(f"no event in {inbox_name(loaded)} matches")
        return
    rows = [
        (one.source, one.name, one.count, report.moment(one.first_at), report.moment(one.last_at), one.sample)
        for one in found
    ]
    report.table("source", "event", "count", "first", "last", "sample", rows=rows)
    line("")
    line(f"Seen in the last {loaded.inbox.retention_days:g} days, which is how long the inbox keeps them.", "dim")


async def seen(inbox: Inbox, source: str, after: int) -> list[EventName]:
    """Return the event names of the entries after a key, by source and name, step by step."""
    found: dict[tuple[str, str], EventName] = {}
    async for one in _walk(inbox, source, after):
        key = one.source, one.name
        found[key] = _merged(found[key], one) if key in found else one
    return [found[key] for key in sorted(found)]


async def _walk(inbox: Inbox, source: str, after: int) -> AsyncIterator[EventName]:
    while (step := await inbox.event_names(source, after, STEP)).last_key != after:
        for one in step.names:
            yield one
        after = step.last_key


def _merged(before: EventName, later: EventName) -> EventName:
    return replace(
        later,
        count=before.count + later.count,
        renamed=before.renamed + later.renamed,
        first_at=min(before.first_at, later.first_at),
        last_at=max(before.last_at, later.last_at),
    )


def _document(one: EventName) -> dict[str, Any]:
    return {
        "source": one.source,
        "name": one.name,
        "count": one.count,
        "first_at": one.first_at,
        "last_at": one.last_at,
        "sample": one.sample,
    }
