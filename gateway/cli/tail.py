"""`gateway tail`: follow what happens, one line for each answer to a request and each settlement of a delivery."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Annotated
from urllib.parse import urlencode

import orjson
import typer

from gateway.admin import views
from gateway.admin.documents import DeliveriesDocument, DeliveryDocument, HappeningDocument
from gateway.admin.query import MOST_PER_PAGE, to_parameters
from gateway.cli import moments, report
from gateway.cli.asking import BrokenOff, NotServed, ask, serving
from gateway.cli.options import ConfigOption, SourceOption, TypeOption, complain, line, load_to_look
from gateway.cli.store import inbox_file
from gateway.config import Config
from gateway.feed import OUTCOMES
from gateway.history import Query

AGAIN_SECONDS = 1.0

_STYLES = {
    **dict.fromkeys(("rejected", "unavailable", "error", "dead"), "red"),
    **dict.fromkeys(("pending", "dropped"), "yellow"),
    **dict.fromkeys(("duplicate", "handshake", "skipped"), "dim"),
    "forwarded": "green",
}


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(tail)


def tail(
    *,
    config: ConfigOption = None,
    source: SourceOption = "",
    kind: TypeOption = "",
    outcome: Annotated[
        list[str] | None, typer.Option(metavar="OUTCOME", help=f"Only with this outcome: {', '.join(OUTCOMES)}.")
    ] = None,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, max=1_000, help="Begin with the last so many.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="Write a JSON document a line in place of text.")] = False,
) -> None:
    """Follow what happens: how requests are answered, rejected ones too, and what becomes of deliveries.

    Begins with the last deliveries as they stand, unless only some outcomes are wanted. Where no gateway serves the
    inbox it waits for one. Ctrl-C ends it.
    """
    if unknown := sorted(set(outcome or []) - set(OUTCOMES)):
        raise typer.BadParameter(f"{unknown[0]} is not one of {', '.join(OUTCOMES)}", param_hint="--outcome")
    loaded = load_to_look(config)
    filters = [("source", source), ("type", kind), *(("outcome", one) for one in outcome or [])]
    past = Query(source=source, type=kind, limit=lines)
    with suppress(KeyboardInterrupt):
        for happening in _follow(loaded, urlencode([pair for pair in filters if pair[1]]), None if outcome else past):
            _tell(happening, json=json)


def _follow(config: Config, filters: str, past: Query | None) -> Iterator[HappeningDocument]:
    """Yield the last deliveries that `past` finds and then, for ever, what happens.

    Of the time without a gateway that was followed, the deliveries received meanwhile are told as they stand.
    """
    waits = False
    wanted = past
    while True:
        try:
            for text in _lines(config, filters):
                if wanted and wanted.limit:  # from the first line on nothing is missed
                    yield from _last(config, wanted)
                wanted, waits = None, False
                if text.strip():
                    yield orjson.loads(text)
        except (NotServed, BrokenOff):
            pass
        if not waits:
            complain("no gateway here serves the inbox; waiting for one", "dim")
            if past and wanted is None:
                wanted = replace(past, since=int(time.time() * 1000), limit=MOST_PER_PAGE)
        waits = True
        time.sleep(AGAIN_SECONDS)


def _lines(config: Config, filters: str) -> Iterator[bytes]:
    served = serving(config)
    return served.lines(f"/v1/tail?{filters}") if served else iter(())


def _last(config: Config, query: Query) -> list[HappeningDocument]:
    """Return the last deliveries as they stand, the newest at the end."""
    if inbox_file(config) is None:
        return []
    page: DeliveriesDocument = ask(
        config, "/v1/deliveries", to_parameters(query), lambda inbox: views.deliveries(inbox, query)
    )
    return [_as_it_stands(delivery) for delivery in reversed(page["deliveries"])]


def _as_it_stands(delivery: DeliveryDocument) -> HappeningDocument:
    last = delivery["attempts"][-1] if delivery["attempts"] else None
    at = delivery["settled_at"] or (last["at"] if last else delivery["received_at"])
    return {
        "at": at,
        "source": delivery["source"],
        "outcome": "pending" if delivery["state"] == "leased" else delivery["state"],
        "delivery_id": delivery["delivery_id"],
        "type": delivery["type"],
        "status": last["status"] if last else None,
        "reason": delivery["reason"],
        "ms": at - delivery["received_at"],
        "attempt": last["number"] if last else None,
        "events": [event["name"] for event in delivery["events"]],
    }


def _tell(happening: HappeningDocument, *, json: bool) -> None:
    """Write one line at once, as others may wait for it at the end of a pipe."""
    if json:
        sys.stdout.buffer.write(orjson.dumps(happening, option=orjson.OPT_APPEND_NEWLINE))
        sys.stdout.buffer.flush()
        return
    attempt = f"attempt {happening['attempt']}" if happening["attempt"] else ""
    facts = (
        f"{happening['outcome']:<11}",
        f"{happening['source'] or '-':<12}",
        happening["delivery_id"] or "-",
        ", ".join(happening["events"]) or happening["type"],
        attempt,
        str(happening["status"] or ""),
        happening["reason"],
        report.duration(happening["ms"]),
    )
    told = "  ".join(fact for fact in facts if fact)
    line(f"{moments.exact(happening['at'])}  {told}", _STYLES.get(happening["outcome"], ""))
    sys.stdout.flush()
