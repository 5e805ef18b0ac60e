"""What the commands print for people: tables, records and short lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size

from gateway.addresses import registered_url
from gateway.app import Gateway
from gateway.cli.options import line, out, plain
from gateway.dev.post import Answered
from gateway.find_provider import find
from gateway.history import History
from gateway.model import State
from gateway.moment import utc

GAP = "  "
UNITS = (("days", 86_400_000), ("hours", 3_600_000), ("minutes", 60_000), ("seconds", 1_000))


def table(*columns: str, rows: Iterable[Sequence[object]]) -> None:
    """Print a table; on a terminal too narrow for it, a record for each row, so that no cell is cut or folded."""
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
    if out.is_terminal and sum(widths) + len(GAP) * (len(widths) - 1) > out.width:
        for row in cells:
            record(zip(columns, row, strict=True))
        return
    for number, row in enumerate([list(columns), *cells]):
        padded = [set_cell_size(cell, width) for cell, width in zip(row, widths, strict=True)]
        line(GAP.join(padded).rstrip(), "" if number else "bold")


def record(facts: Iterable[tuple[str, object]]) -> None:
    """Print facts one below the other, leaving out those that are empty, and an empty line."""
    told = [(name, str(value)) for name, value in facts if str(value)]
    width = max(len(name) for name, _ in told)
    for name, value in told:
        line(f"{name:{width}}{GAP}{value}")
    line("")


def print_start(gateway: Gateway, *, event_api_url: str, local: bool) -> None:
    """Print where everything is, and which URL to register where."""
    kind = "local, shows what arrived" if local else "Inngest Dev Server"
    line(f"Gateway    http://{gateway.config.server.host}:{gateway.port}")
    line(f"Admin      http://{gateway.config.admin.host}:{gateway.admin_port}/readyz")
    line(f"Event API  {event_api_url} ({kind})")
    line(f"Inbox      {gateway.config.inbox_name}")
    line("")
    line("URLs to register, and where:", "bold")
    width = max(map(len, gateway.config.sources)) + len(GAP)
    for name, source in gateway.config.sources.items():
        line(f"{name:{width}}{registered_url(gateway.config, name, gateway.port)}")
        line(f"{'':{width}}{find(source.provider, gateway.config.path.parent).register_at}", "dim")
    line("A provider needs an address it can reach: put your host's or tunnel's in front of /webhooks.")
    line("")


def print_answer(source: str, kind: str, answer: Answered) -> None:
    """Print what the gateway answered to a sample."""
    line(f"{source} {kind}: {answer.status} {' '.join(answer.body.split()) or '(empty body)'}")


def print_outcomes(histories: Sequence[History]) -> None:
    """Print what became of each delivery."""
    rows = [
        (f"{history.entry.delivery.source} {history.entry.delivery.id}", event.name, event.id, answer(history, index))
        for history in histories
        for index, event in enumerate(history.events)
    ]
    rows += [
        (f"{history.entry.delivery.source} {history.entry.delivery.id}", "-", "-", answer(history, 0))
        for history in histories
        if not history.events
    ]
    line("")
    table("delivery", "event name", "event id", "answer", rows=rows)


def answer(history: History, index: int) -> str:
    """Say in a few words what the event API answered for one event, or why nothing was sent."""
    if history.entry.state is State.FORWARDED and index < len(history.events):
        return f"{history.attempts[-1].status} {history.events[index].event_api_id}"
    return f"{history.entry.state} {history.entry.reason}".strip()


def moment(milliseconds: int | None) -> str:
    """Return a time in UTC to the second, or a dash."""
    return "-" if milliseconds is None else utc(milliseconds)


def duration(milliseconds: float) -> str:
    """Write a time in its largest unit, of which there are two at least; below two seconds in milliseconds."""
    for unit, size in UNITS:
        if milliseconds >= 2 * size:
            return f"{int(milliseconds // size)} {unit}"
    return f"{max(0, round(milliseconds))} ms"
