"""`gateway sources`, `deliveries` and `show`: what is configured and what was kept."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Annotated
from urllib.parse import quote

import typer

from gateway import quarantine, refusals
from gateway.addresses import registered_url
from gateway.admin import views
from gateway.admin.documents import DeliveriesDocument, DeliveryDocument, LivesDocument, SourceDocument, SourcesDocument
from gateway.admin.query import MOST_PER_PAGE, cursor, to_parameters
from gateway.admin.sources import Known
from gateway.admin.sources import sources as sources_of
from gateway.cli import life, moments, report, secret_uses
from gateway.cli.asking import ask
from gateway.cli.options import (
    ConfigOption,
    JsonOption,
    ReasonOption,
    SinceOption,
    SourceOption,
    TypeOption,
    UntilOption,
    complain,
    line,
    load_to_look,
    write_json,
)
from gateway.cli.store import inbox_file, inbox_name
from gateway.config import Config
from gateway.history import Counts, Query
from gateway.inbox.contract import Inbox
from gateway.model import State

RevealOption = Annotated[bool, typer.Option("--reveal", help="Show the path tokens that are part of URLs.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(sources)
    app.command()(deliveries)
    app.command()(show)


def sources(config: ConfigOption = None, *, reveal: RevealOption = False, json: JsonOption = False) -> None:
    """List the sources: URLs to register, what became of their deliveries, and how long their providers still wait."""
    loaded = load_to_look(config)
    rows: list[SourceDocument] = _sources(loaded)["sources"]
    for row in rows if reveal else []:
        if row["source"] in loaded.sources:
            row["url"] = registered_url(loaded, row["source"], reveal=True)
    if json:
        write_json(rows)
        return
    columns = ("source", "provider", "url", "transform", "pending", "forwarded", "skipped", "dead", "duplicates")
    cells = [
        [
            *(row[column] for column in columns),  # type: ignore[literal-required]  # each is a key
            sum(rejection["count"] for rejection in row["rejections"]),
            f"{row['dedupe_window_days']} days",
            report.moment(row["last_received_at"]),
        ]
        for row in rows
    ]
    report.table(*columns, "rejected", "re-sends absorbed", "last received", rows=cells)
    for row in rows:
        for sentence in secret_uses.sentences(row["secret_uses"], int(time.time() * 1000)):
            line(f"{row['source']}: {sentence}")
        if clock := row["give_up"]:
            line(f"{row['source']}: {_left(clock['seconds'])}{clock['sentence']}", "red")


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"gives up in {report.duration(int(seconds * 1000))}: " if seconds > 0 else "has given up: "


def _sources(config: Config) -> SourcesDocument:
    path = inbox_file(config)
    if path is None:
        return _known(config, Counts({}))

    async def look(inbox: Inbox) -> SourcesDocument:
        return _known(config, await inbox.counts())

    told: SourcesDocument = ask(config, "/v1/sources", {}, look)
    return told


def _known(config: Config, counts: Counts) -> SourcesDocument:
    """Tell of the sources by what a gateway left, or will find."""
    path, now = inbox_file(config) or config.inbox_path, int(time.time() * 1000)
    refused = refusals.current(refusals.load(refusals.path_of(path)), config.sources, now)
    tallies = quarantine.read(quarantine.path_of(path)).tallies
    return sources_of(config, Known(now, counts, tallies, refused))


def deliveries(
    *,
    config: ConfigOption = None,
    source: SourceOption = "",
    kind: TypeOption = "",
    state: Annotated[State | None, typer.Option(help="Only in this state.")] = None,
    since: SinceOption = "",
    until: UntilOption = "",
    reason: ReasonOption = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 50,
    json: JsonOption = False,
) -> None:
    """List deliveries, newest first."""
    query = Query(
        source=source,
        type=kind,
        state=state,
        since=moments.option("--since", since),
        until=moments.option("--until", until),
        reason=reason,
        limit=limit,
    )
    loaded = load_to_look(config)
    found = _deliveries(loaded, query)
    if json:
        write_json(found)
        return
    if not found:
        complain(f"no delivery in {inbox_name(loaded)} matches")
        return
    rows = [
        (
            report.moment(row["received_at"]),
            row["source"],
            row["delivery_id"],
            row["state"],
            len(row["attempts"]),
            row["duplicates"],
            ", ".join(event["name"] for event in row["events"]) or row["type"],
            row["reason"],
        )
        for row in found
    ]
    report.table("received", "source", "delivery", "state", "attempts", "duplicates", "event", "reason", rows=rows)


def _deliveries(config: Config, query: Query) -> list[DeliveryDocument]:
    """Return what matches, page by page."""
    found: list[DeliveryDocument] = []
    before: str | None = ""
    while len(found) < query.limit and before is not None:
        limit = min(MOST_PER_PAGE, query.limit - len(found))
        page = _page(config, replace(query, limit=limit, before=cursor(before) if before else None))
        found += page["deliveries"]
        before = page["next"]
    return found


def _page(config: Config, query: Query) -> DeliveriesDocument:
    page: DeliveriesDocument = ask(
        config, "/v1/deliveries", to_parameters(query), lambda inbox: views.deliveries(inbox, query)
    )
    return page


def show(
    identifier: Annotated[
        str, typer.Argument(metavar="ID", help="A delivery id, event id, the event API's id of an event, or trace id.")
    ],
    *,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Tell the life of one delivery, and what is next for it. Exits 1 when nothing has the id."""
    found: LivesDocument = ask(
        load_to_look(config),
        f"/v1/deliveries/{quote(identifier, safe='')}",
        {},
        lambda inbox: views.lives(inbox, identifier),
    )
    if json:
        write_json(found["deliveries"])
    for one in [] if json else found["deliveries"]:
        report.record(life.facts(one, found["forwarding"]))
    if not found["deliveries"]:
        complain("nothing in the inbox has this id as its delivery, event or trace id", "red")
        raise typer.Exit(1)
