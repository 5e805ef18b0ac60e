"""`gateway sources`, `deliveries` and `show`: what is configured and what was kept."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from gateway import dedupe
from gateway.addresses import registered_url
from gateway.cli import moments, report, secret_uses
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
from gateway.cli.store import inbox_file, read
from gateway.config import Config
from gateway.find_provider import find
from gateway.history import Counts, History, Query
from gateway.inbox.contract import Inbox
from gateway.model import Attempt, Delivery, State

RevealOption = Annotated[bool, typer.Option("--reveal", help="Show the path tokens that are part of URLs.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    app.command()(sources)
    app.command()(deliveries)
    app.command()(show)


def sources(config: ConfigOption = None, *, reveal: RevealOption = False, json: JsonOption = False) -> None:
    """List the sources: URLs to register, and what became of their deliveries."""
    loaded = load_to_look(config)
    counts = read(loaded, lambda inbox: inbox.counts()) if inbox_file(loaded) else Counts({})
    rows = [_source_row(loaded, name, counts, reveal=reveal) for name in loaded.sources]
    if json:
        write_json(rows)
        return
    columns = ("source", "provider", "url", "transform", "pending", "forwarded", "skipped", "dead", "duplicates")
    cells = [
        [row[column] for column in columns]
        + [f"{row['dedupe_window_days']} days", report.moment(row["last_received_at"])]
        for row in rows
    ]
    report.table(*columns, "re-sends absorbed", "last received", rows=cells)
    for name, table in loaded.sources.items():
        for sentence in secret_uses.sentences(table, counts.secrets.get(name, {}), int(time.time() * 1000)):
            line(f"{name}: {sentence}")


def _source_row(config: Config, name: str, counts: Counts, *, reveal: bool) -> dict[str, Any]:
    source = config.sources[name]
    provider = find(source.provider, config.path.parent)
    states = counts.by_source.get(name, {})
    return {
        "source": name,
        "provider": source.provider,
        "url": registered_url(config, name, reveal=reveal),
        "register_at": provider.register_at,
        "secret_at": provider.secret_at,
        "secrets": len(source.secrets),
        "secret_uses": secret_uses.documents(source, counts.secrets.get(name, {})),
        "transform": source.transform or provider.transform,
        "dedupe_window_days": dedupe.window_days(provider, config.inbox.dedupe_window_days, source.dedupe_window_days),
        "pending": states.get(State.PENDING, 0) + states.get(State.LEASED, 0),
        "forwarded": states.get(State.FORWARDED, 0),
        "skipped": states.get(State.SKIPPED, 0),
        "dead": states.get(State.DEAD, 0),
        "duplicates": counts.duplicates.get(name, 0),
        "last_received_at": counts.last_received_at.get(name),
    }


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
    found = read(loaded, lambda inbox: inbox.search(query))
    if json:
        write_json([_document(history) for history in found])
        return
    if not found:
        complain(f"no delivery in {inbox_file(loaded)} matches")
        return
    rows = [
        (
            report.moment(history.entry.delivery.received_at),
            history.entry.delivery.source,
            history.entry.delivery.id,
            history.entry.state,
            history.entry.attempts,
            history.duplicates,
            ", ".join(event.name for event in history.events) or history.entry.delivery.type,
            history.entry.reason,
        )
        for history in found
    ]
    report.table("received", "source", "delivery", "state", "attempts", "duplicates", "event", "reason", rows=rows)


def show(
    identifier: Annotated[
        str, typer.Argument(metavar="ID", help="A delivery id, event id, the event API's id of an event, or trace id.")
    ],
    *,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Tell the life of one delivery. Exits 1 when nothing has the id."""
    loaded = load_to_look(config)

    async def find(inbox: Inbox) -> list[History]:
        found = [await inbox.get(match.entry.key) for match in await inbox.search(Query(id=identifier))]
        return [history for history in found if history]

    found = read(loaded, find)
    if json:
        write_json([{**_document(history), "body_bytes": _body_bytes(history)} for history in found])
    for history in [] if json else found:
        _tell(history)
    if not found:
        complain("nothing in the inbox has this id as its delivery, event or trace id", "red")
        raise typer.Exit(1)


def _tell(history: History) -> None:
    entry, delivery = history.entry, history.entry.delivery
    size = f"{len(delivery.body)} bytes" if history.body_kept else "its body is gone, as retention wants"
    absorbed = f"{history.duplicates} absorbed, the last {report.moment(history.last_duplicate_at)}"
    report.record(
        [
            ("delivery", f"{delivery.source} {delivery.id} ({delivery.type or 'no type'})"),
            ("received", f"{report.moment(delivery.received_at)}, {size}, kept as entry {entry.key}"),
            ("verified", _verification(delivery)),
            ("trace", delivery.traceparent),
            ("duplicates", absorbed if history.duplicates else "none"),
            ("state", f"{entry.state} {entry.reason}".strip()),
            ("next try", report.moment(entry.due_at) if entry.state is State.PENDING else ""),
            *((f"attempt {attempt.number}", _attempt(attempt)) for attempt in history.attempts),
            *(
                ("event", f"{event.name} {event.id} -> {event.event_api_id or 'not accepted'}")
                for event in history.events
            ),
        ]
    )


def _verification(delivery: Delivery) -> str:
    if delivery.doubt:
        return f"no, and kept all the same, as enforce = false: {delivery.doubt}"
    if not delivery.verified:
        return "no, by configuration"
    return f"with the secret {delivery.secret}" if delivery.secret else "yes"


def _body_bytes(history: History) -> int | None:
    return len(history.entry.delivery.body) if history.body_kept else None


def _attempt(attempt: Attempt) -> str:
    answered = f"{attempt.status} {attempt.outcome}" if attempt.status else attempt.outcome
    told = f"{report.moment(attempt.at)} {answered}, {attempt.duration_ms} ms"
    return f"{told}: {attempt.detail}" if attempt.detail else told


def _document(history: History) -> dict[str, Any]:
    entry, delivery = history.entry, history.entry.delivery
    return {
        "key": entry.key,
        "source": delivery.source,
        "provider": delivery.provider,
        "delivery_id": delivery.id,
        "type": delivery.type,
        "received_at": delivery.received_at,
        "state": entry.state,
        "reason": entry.reason,
        "due_at": entry.due_at if entry.state is State.PENDING else None,
        "settled_at": history.settled_at,
        "duplicates": history.duplicates,
        "secret": delivery.secret,
        "verified": delivery.verified,
        "doubt": delivery.doubt,
        "traceparent": delivery.traceparent,
        "body_kept": history.body_kept,
        "attempts": [
            {
                "number": attempt.number,
                "at": attempt.at,
                "duration_ms": attempt.duration_ms,
                "outcome": attempt.outcome,
                "status": attempt.status,
                "detail": attempt.detail,
            }
            for attempt in history.attempts
        ],
        "events": [
            {"id": event.id, "name": event.name, "event_api_id": event.event_api_id} for event in history.events
        ],
    }
