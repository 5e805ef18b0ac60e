"""`gateway try`: what a source's transform makes of a file or of a stored delivery."""

from __future__ import annotations

import asyncio
import linecache
import re
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from gateway.cli import trial_diff
from gateway.cli.options import (
    ConfigOption,
    ForOption,
    JsonOption,
    TransformOption,
    complain,
    file_here,
    find_source,
    load_to_look,
    mapper_with,
    out,
    write_json,
)
from gateway.cli.stored import history_of
from gateway.cli.trial_delivery import from_file
from gateway.cli.watching import rerun_on_change
from gateway.config import Config
from gateway.errors import ConfigError, TransformError
from gateway.model import Entry, Skip, StampedEvent
from gateway.transform import Mapped, Mapper, Postponed, Runner

_PLACE = re.compile(r"\((.+):(\d+)\)$")


def _header(text: str) -> tuple[str, str]:
    """Read 'Name: value'."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter("write it as 'Name: value'")
    return name.strip().lower(), value.strip()


HeaderOption = Annotated[
    list[Any] | None,
    typer.Option(metavar="'NAME: VALUE'", parser=_header, help="A header for a body (repeatable)."),
]
DiffOption = Annotated[
    bool, typer.Option("--diff", help="Compare with what was sent, and with what --transform replaces.")
]
WatchOption = Annotated[bool, typer.Option("--watch", help="Run again whenever the transform or the file changes.")]


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("try")(try_)


def try_(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source whose transform runs.")],
    what: Annotated[str, typer.Argument(metavar="FILE|ID", help="A body, a recorded delivery, or a delivery id.")],
    *,
    transform: TransformOption = "",
    pattern: ForOption = "",
    diff: DiffOption = False,
    watch: WatchOption = False,
    header: HeaderOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Run a source's transform on a file or a stored delivery and show the events; nothing is sent or kept.

    Exits 1 when the transform fails, or when the gateway would not have taken the file.
    """

    def run() -> None:
        _try(load_to_look(config), source, what, (transform, pattern), header or [], diff=diff, json=json)

    if watch:
        rerun_on_change(run, file_here(config), Path(what))
    else:
        run()


def _try(
    loaded: Config,
    source: str,
    what: str,
    other: tuple[str, str],
    headers: list[tuple[str, str]],
    *,
    diff: bool,
    json: bool,
) -> None:
    if other[1] and not other[0]:
        raise ConfigError(["--for: says which types --transform is for, and that is not given; give both"])
    chosen = find_source(loaded, source)
    own = chosen.mapper
    mapper = mapper_with(loaded, own, *other) if other[0] else own
    path = Path(what)
    history = None if path.exists() else history_of(loaded, what, source, or_file=True)
    if diff and history is None and mapper is own:
        raise ConfigError(["--diff: a file was never sent; name a stored delivery, or another --transform to compare"])
    delivery = history.entry.delivery if history else from_file(path, chosen, headers)
    mappers = [mapper, own] if diff and mapper is not own else [mapper]
    mapped, *configured = asyncio.run(_map(Entry(0, delivery), mappers))
    events = _events(mapped)
    if not diff:
        _show(events, json=json)
        return
    reference = own.chosen(delivery.type).reference
    trial_diff.tell(events, history, configured[0] if configured else None, reference, json=json)


async def _map(entry: Entry, mappers: list[Mapper]) -> list[Mapped]:
    async with Runner() as runner:
        return await runner.run([(entry, mapper) for mapper in mappers])


def _events(mapped: Mapped) -> tuple[StampedEvent, ...]:
    """Return the events, having told why there are none. Raises TransformError."""
    match mapped:
        case TransformError():
            raise TransformError(f"{mapped}{_quoted(str(mapped))}")
        case Postponed():
            raise TransformError("the transform did not come to its end; try it again")
        case Skip(reason=reason):
            complain(f"skipped: {reason}")
            return ()
    return mapped.events


def _quoted(sentence: str) -> str:
    """Return the line of the user's code whose place a sentence ends with."""
    linecache.checkcache()
    place = _PLACE.search(sentence)
    code = linecache.getline(place[1], int(place[2])).strip() if place else ""
    return f" in the line: {code}" if code else ""


def _show(events: tuple[StampedEvent, ...], *, json: bool) -> None:
    documents = [orjson.loads(event.body) for event in events]
    if json:
        write_json(documents)
        return
    for document in documents:
        out.print_json(data=document)
