"""`gateway shadow`: what another transform would change, seen on stored deliveries."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gateway.cli import moments
from gateway.cli.interruption import INTERRUPTED, ctrl_c
from gateway.cli.options import (
    ConfigOption,
    ForOption,
    JsonOption,
    SinceOption,
    TransformOption,
    TypeOption,
    UntilOption,
    complain,
    err,
    find_source,
    load_to_look,
    mapper_with,
    write_json,
)
from gateway.cli.shadow_report import document, report_on
from gateway.cli.store import read
from gateway.errors import OutputLost
from gateway.history import Query
from gateway.inbox.contract import Inbox
from gateway.shadow.page import render
from gateway.shadow.tally import Tally
from gateway.shadow.walk import walk
from gateway.transform import Mapper

NO_LIMIT = sys.maxsize

HtmlOption = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Write a page for review, too.")]
LimitOption = Annotated[int, typer.Option(min=1, show_default="all", help="At most so many, the oldest first.")]


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(shadow)


def shadow(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source whose deliveries are taken.")],
    *,
    transform: TransformOption,
    pattern: ForOption = "",
    since: SinceOption = "",
    until: UntilOption = "",
    kind: TypeOption = "",
    limit: LimitOption = NO_LIMIT,
    show_values: Annotated[bool, typer.Option("--show-values", help="Show values of events, not only kinds.")] = False,
    html: HtmlOption = None,
    json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Run another transform over stored deliveries and report what it would change; nothing is sent or kept.

    It is compared with what the source does now: its transform, or that of each type.

    Exits 1 when the other one fails on any delivery.
    """
    loaded = load_to_look(config)
    own = find_source(loaded, source).mapper
    mappers = own, mapper_with(loaded, own, transform, pattern)
    query = Query(
        source=source,
        type=kind,
        since=moments.option("--since", since),
        # What arrives from now on is not part of it.
        until=moments.option("--until", until) if until else int(time.time() * 1000) + 1,
        limit=limit,
    )
    tally = Tally(show_values=show_values)
    complete = read(loaded, lambda inbox: _run(inbox, query, mappers, tally, quiet=json))
    references = mappers[0].described, mappers[1].described
    if json:
        write_json(document(tally, source, references))
    else:
        report_on(tally)
    if html:
        _write(html, render(tally, source, references))
        complain(f"the page for review is {html}")
    if not complete:
        complain(f"stopped after {tally.deliveries} deliveries")
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(1 if tally.failed else 0)


async def _run(inbox: Inbox, query: Query, mappers: tuple[Mapper, Mapper], tally: Tally, *, quiet: bool) -> bool:
    """Compare behind a progress bar on a terminal; tell whether it came to the end."""
    columns = (TextColumn("shadow"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    total = min(await inbox.count_stored(query), query.limit)
    async with ctrl_c() as stop:
        with Progress(*columns, console=err, disable=quiet or not err.is_terminal) as shown:
            bar = shown.add_task("", total=total)
            await walk(inbox, query, mappers, tally, progress=lambda done: shown.update(bar, completed=done), stop=stop)
        return not stop.is_set()


def _write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise OutputLost(
            f"{path}: cannot be written ({error.strerror}); name a file in a folder that exists"
        ) from error
