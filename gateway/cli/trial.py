"""`gateway try`: what a source's transform makes of a file or of a stored delivery."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from gateway import recording
from gateway.cli.options import ConfigOption, JsonOption, complain, find_source, load_to_look, out, write_json
from gateway.cli.store import inbox_file, read
from gateway.config import Config
from gateway.errors import ConfigError, InvalidPayload, RequestRejected, TransformError
from gateway.history import History, Query
from gateway.inbox.contract import Inbox
from gateway.model import Delivery, Entry, Request, Skip
from gateway.sources import Source
from gateway.transform import Runner
from gateway.verify import verify


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


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command("try")(try_)


def try_(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source whose transform runs.")],
    what: Annotated[str, typer.Argument(metavar="FILE|ID", help="A body, a recorded delivery, or a delivery id.")],
    *,
    config: ConfigOption = None,
    header: HeaderOption = None,
    json: JsonOption = False,
) -> None:
    """Run a source's transform on a file or a stored delivery and show the events; nothing is sent or kept.

    Exits 1 when the transform fails, or when the gateway would not have taken the file.
    """
    loaded = load_to_look(config)
    chosen = find_source(loaded, source)
    path = Path(what)
    delivery = _from_file(path, chosen, header or []) if path.exists() else _from_inbox(loaded, source, what)
    [mapped] = asyncio.run(_map(Entry(0, delivery), chosen))
    match mapped:
        case TransformError():
            raise mapped
        case Skip(reason=reason):
            events: list[Any] = []
            complain(f"skipped: {reason}")
        case _:
            events = [orjson.loads(event.body) for event in mapped.events]
    if json:
        write_json(events)
        return
    for event in events:
        out.print_json(data=event)


async def _map(entry: Entry, source: Source) -> Any:
    runner = Runner()
    try:
        return await runner.run([(entry, source.mapper)])
    finally:
        await runner.close()


def _from_file(path: Path, source: Source, headers: list[tuple[str, str]]) -> Delivery:
    """Read a recorded delivery, or take the file as the body of a request that need not be signed."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read ({error.strerror}); name a readable file"]) from error
    try:
        return replace(recording.loads(content), source=source.name)
    except InvalidPayload as error:
        if _is_meant_as_recording(content):
            raise InvalidPayload(f"{path}: {error}") from error
    if "content-type" not in dict(headers):
        headers = [*headers, ("content-type", "application/json")]
    now = int(time.time() * 1000)
    request = Request("POST", source.path, "", tuple(headers), content, now)
    try:
        result = verify(request, replace(source, verified=False), now)
    except RequestRejected as error:
        raise TransformError(f"{path}: {error}") from error
    if not isinstance(result, Delivery):
        raise TransformError(f"{path}: this is a handshake, which is answered and never mapped")
    return replace(result, verified=True)


def _is_meant_as_recording(content: bytes) -> bool:
    try:
        document = orjson.loads(content)
    except ValueError:
        return False
    return isinstance(document, dict) and {"source", "provider", "received_at"} <= document.keys()


def _from_inbox(config: Config, source: str, identifier: str) -> Delivery:
    async def find(inbox: Inbox) -> History | None:
        found = await inbox.search(Query(id=identifier, source=source, limit=1))
        return await inbox.get(found[0].entry.key) if found else None

    history = read(config, find) if inbox_file(config) else None
    if history is None:
        raise ConfigError([f"{identifier}: neither a file nor the id of a delivery that {source} has in the inbox"])
    if not history.body_kept:
        raise ConfigError([f"{identifier}: its body is gone, as inbox.retention_days have passed"])
    return history.entry.delivery
