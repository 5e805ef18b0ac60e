"""What the commands print for people: tables and short lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table

from gateway.app import Gateway
from gateway.cli.addresses import registered_url
from gateway.cli.options import out
from gateway.dev.post import Answered
from gateway.model import History, State
from gateway.providers import PROVIDERS


def table(*columns: str, rows: Iterable[Sequence[object]], whole: str = "") -> None:
    """Print a table whose cells are plain text, never markup; long cells are folded, except those of column `whole`."""
    grid = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        grid.add_column(column, overflow="fold", no_wrap=column == whole)
    for row in rows:
        grid.add_row(*(_plain(cell) for cell in row))
    out.print(grid)


def print_start(gateway: Gateway, *, event_api_url: str, local: bool) -> None:
    """Print where everything is, and which URL to register where."""
    kind = "local, shows what arrived" if local else "Inngest Dev Server"
    out.print(f"Gateway    http://{gateway.config.server.host}:{gateway.port}", markup=False)
    out.print(f"Admin      http://{gateway.config.admin.host}:{gateway.admin_port}/readyz", markup=False)
    out.print(f"Event API  {event_api_url} ({kind})", markup=False)
    out.print(f"Inbox      {gateway.config.inbox_path}\n", markup=False, soft_wrap=True)
    out.print("URLs to register, and where:", style="bold")
    width = max(map(len, gateway.config.sources)) + 2
    for name, source in gateway.config.sources.items():
        out.print(f"{name:{width}}{registered_url(gateway.config, name, gateway.port)}", markup=False, soft_wrap=True)
        out.print(f"{'':{width}}{PROVIDERS[source.provider].register_at}", style="dim", markup=False, soft_wrap=True)
    out.print("A provider needs an address it can reach: put your host's or tunnel's in front of /webhooks.\n")


def print_answer(source: str, kind: str, answer: Answered) -> None:
    """Print what the gateway answered to a sample."""
    out.print(f"{source} {kind}: {answer.status} {answer.body or '(empty body)'}", markup=False, soft_wrap=True)


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
    out.print()
    table("delivery", "event name", "event id", "answer", rows=rows, whole="event name")


def answer(history: History, index: int) -> str:
    """Say in a few words what the event API answered for one event, or why nothing was sent."""
    if history.entry.state is State.FORWARDED and index < len(history.events):
        return f"{history.attempts[-1].status} {history.events[index].event_api_id}"
    return f"{history.entry.state} {history.entry.reason}".strip()


def moment(milliseconds: int | None) -> str:
    """Return a time in UTC to the second, or a dash."""
    if milliseconds is None:
        return "-"
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _plain(cell: object) -> str:
    return escape("".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(cell)))
