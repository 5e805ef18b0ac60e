"""What `gateway check` advises on the names that one's own transforms give to events; never a fault."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gateway import build
from gateway.cli.events import seen
from gateway.cli.store import inbox_file, read
from gateway.config import Config
from gateway.errors import GatewayError
from gateway.history import EventName, Query
from gateway.inbox.contract import Inbox
from gateway.mapper import Mapper
from gateway.name_advice import advise
from gateway.sources import Source

SHIPPED = "transforms"
NEWEST = 10_000


def on_names(config: Config) -> list[str]:
    """Return a sentence for each name that could be better, of those in the code and in the inbox.

    Only names that the user's own transforms give are looked at, and none that is the sender's own word for it.
    """
    mappers = {name: _mappers(source) for name, source in build.sources(config).items()}
    found: dict[tuple[str, str], str] = {}
    for name, mapper in ((name, mapper) for name, of_source in mappers.items() for mapper in of_source):
        for literal, place in _literals(mapper) if _is_own(mapper) else ():
            found.setdefault((name, advise(literal)), place)
    # Which transform gave a name is not kept.
    own = {name for name, of_source in mappers.items() if all(map(_is_own, of_source))}
    for event in _seen(config) if own else ():
        if event.source in own and event.renamed:
            found.setdefault((event.source, advise(event.name)), f"seen {event.count} times")
    return [f"{config.path}: sources.{name}: {advice} ({place})" for (name, advice), place in found.items() if advice]


def _mappers(source: Source) -> list[Mapper]:
    """Return the mappers of all of a source's transforms."""
    return [source.mapper, *(route for _, route in source.mapper.routes)]


def _is_own(mapper: Mapper) -> bool:
    return _module(mapper).partition(".")[0] != SHIPPED


def _module(mapper: Mapper) -> str:
    return str(getattr(mapper.function, "__module__", ""))


def _literals(mapper: Mapper) -> Iterator[tuple[str, str]]:
    """Yield the names that the transform's module gives literally as Event(name="..."), and the place of each."""
    file = getattr(sys.modules.get(_module(mapper)), "__file__", None)
    if not file:
        return
    with suppress(OSError, ValueError, SyntaxError):
        for node in ast.walk(ast.parse(Path(file).read_bytes())):
            if isinstance(node, ast.Call) and (name := _name_of(node)):
                yield name, f"{file}:{node.lineno}"


def _name_of(call: ast.Call) -> str:
    called = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    given = [keyword.value for keyword in call.keywords if keyword.arg == "name"] or call.args[:1]
    match given:
        case [ast.Constant(value=str(name))] if called == "Event":
            return name
    return ""


def _seen(config: Config) -> list[EventName]:
    """Return the names of the newest entries; none where there is no inbox that can be read."""

    async def ask(inbox: Inbox) -> list[EventName]:
        newest = await inbox.search(Query(limit=1))
        return await seen(inbox, "", max(0, newest[0].entry.key - NEWEST)) if newest else []

    with suppress(GatewayError):
        return read(config, ask) if inbox_file(config) else []
    return []
