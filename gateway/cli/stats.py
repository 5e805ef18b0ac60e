"""`gateway stats`: rates, percentiles and backlog, once or as a view that is renewed each second."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Annotated

import typer
from rich.live import Live
from rich.text import Text

from gateway.admin import views
from gateway.admin.documents import PercentilesDocument, StatsDocument
from gateway.admin.openapi import MOST_SECONDS
from gateway.cli import report
from gateway.cli.asking import ask
from gateway.cli.options import ConfigOption, JsonOption, line, load_to_look, out, write_json
from gateway.config import Config

RENEWED_SECONDS = 1.0
LABEL = 13
COLUMN = 12
WHOLE = 100


def register(app: typer.Typer) -> None:
    """Add the command of this file."""
    app.command()(stats)


def stats(
    *,
    config: ConfigOption = None,
    seconds: Annotated[
        int, typer.Option(min=1, max=MOST_SECONDS, help="Rates and percentiles of the last so many seconds.")
    ] = views.WINDOW_SECONDS,
    once: Annotated[bool, typer.Option("--once", help="Print it once, as where there is no terminal.")] = False,
    json: JsonOption = False,
) -> None:
    """Show rates, percentiles and backlog, renewed each second until Ctrl-C."""
    loaded = load_to_look(config)
    if json:
        write_json(_stats(loaded, seconds))
    elif once or not out.is_terminal:
        for text in lines(_stats(loaded, seconds)):
            line(text)
    else:
        _watch(loaded, seconds)


def _watch(config: Config, seconds: int) -> None:
    with Live(_view(config, seconds), console=out, auto_refresh=False, screen=True) as live:
        try:
            while True:
                time.sleep(RENEWED_SECONDS)
                live.update(_view(config, seconds), refresh=True)
        except KeyboardInterrupt:
            return


def _view(config: Config, seconds: int) -> Text:
    return Text("\n".join([*lines(_stats(config, seconds)), "", "Ctrl-C ends this"]), no_wrap=True, overflow="ellipsis")


def _stats(config: Config, seconds: int) -> StatsDocument:
    told: StatsDocument = ask(
        config,
        "/v1/stats",
        {"seconds": str(seconds)},
        lambda inbox: views.stats(inbox, inbox.time() if inbox.time else int(time.time() * 1000), seconds),
    )
    return told


def lines(stats: StatsDocument) -> Iterator[str]:
    """Yield the view, line by line."""
    yield f"{report.moment(stats['at'])}, the last {report.duration(stats['window_seconds'] * 1000)}"
    yield ""
    yield f"{'forwarding':{LABEL}}{_forwarding(stats)}"
    yield f"{'received':{LABEL}}{_rate(stats['received_per_second'])} a second"
    settled = [f"{_rate(rate)} {state}" for state, rate in stats["settled_per_second"].items()]
    yield f"{'settled':{LABEL}}{', '.join(settled) or '0'} a second"
    yield f"{'backlog':{LABEL}}{_backlog(stats)}"
    yield ""
    yield f"{'ms':{LABEL}}{_row(('p50', 'p90', 'p99', 'max'))}"
    yield f"{'end to end':{LABEL}}{_percentiles(stats['end_to_end_ms'])}"
    yield f"{'attempt':{LABEL}}{_percentiles(stats['attempt_ms'])}"
    sources = sorted({*stats["by_source"], *stats["backlog"]})
    width = max(LABEL, *(len(name) + 2 for name in sources)) if sources else LABEL
    yield ""
    yield f"{'source':{width}}{_row(('received', 'waiting', 'oldest'))}"
    for name in sources:
        rate, waits = stats["by_source"].get(name, 0), stats["backlog"].get(name)
        oldest = report.duration(stats["at"] - waits["oldest_at"]) if waits else "-"
        waiting = waits["waiting"] if waits else 0
        yield f"{name:{width}}{_row((f'{_rate(rate)}/s', f'{waiting:,}', oldest))}"


def _forwarding(stats: StatsDocument) -> str:
    found = stats["forwarding"]
    if found is None:
        return "no gateway here serves the inbox"
    return f"{found['state']}: {found['reason']}" if found["reason"] else found["state"]


def _backlog(stats: StatsDocument) -> str:
    waits = stats["backlog"].values()
    if not waits:
        return "nothing waits"
    oldest = stats["at"] - min(one["oldest_at"] for one in waits)
    return f"{sum(one['waiting'] for one in waits):,} waiting, the oldest for {report.duration(oldest)}"


def _percentiles(found: PercentilesDocument | None) -> str:
    return _row([f"{value:,.0f}" for value in found.values()] if found else ["-"] * 4)


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= WHOLE else f"{rate:.3g}"


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return "".join(f"{cell:>{COLUMN}}" for cell in cells)
