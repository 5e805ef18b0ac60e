"""The page on which the local event API shows people what arrived. Pure: events in, HTML out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from gateway.dev.event_store import StoredEvent

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
MAX_ROWS = 200
MAX_DATA_CHARACTERS = 20_000

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Local event API</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --quiet: light-dark(#666, #a0a0a0); --badge: #8883; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; }}
h1 {{ font-size: 1.3rem; margin: 0; }}
p {{ color: var(--quiet); margin: .25rem 0 1.5rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th {{ color: var(--quiet); font-weight: 500; text-align: left; white-space: nowrap; }}
th, td {{ border-bottom: 1px solid var(--line); padding: .45rem 1rem .45rem 0; vertical-align: top; }}
td {{ overflow-wrap: anywhere; }}
td:first-child, td:nth-child(4) {{ white-space: nowrap; }}
code, pre {{ font: 13px/1.5 ui-monospace, monospace; }}
pre {{ margin: .5rem 0 0; white-space: pre-wrap; }}
summary {{ cursor: pointer; font-weight: 600; }}
small {{ color: var(--quiet); display: block; }}
.badge {{ background: var(--badge); border-radius: 1rem; padding: .1rem .6rem; }}
</style>
</head>
<body>
<h1>Local event API</h1>
<p>{summary} Post events to <code>/e/&lt;key&gt;</code>; read them as JSON at <a href="/events">/events</a>.</p>
{table}
</body>
</html>
"""
_TABLE = """<table>
<thead><tr><th>Received (UTC)</th><th>Event</th><th>Id</th><th>Run</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>"""
_ROW = """<tr>
<td><time datetime="{iso}">{clock}</time><small>{date}</small></td>
<td><details><summary>{name}</summary><pre>{data}</pre></details></td>
<td><code>{id}</code><small>{internal_id}</small></td>
<td>{run}</td>
</tr>"""


def render(events: Sequence[StoredEvent], total: int) -> str:
    """Return the page for the events kept (oldest first) of `total` ever accepted; the newest are shown, on top."""
    shown = list(reversed(events[-MAX_ROWS:]))
    if not shown:
        return _PAGE.format(summary="No events yet.", table="")
    count = "1 event." if total == 1 else f"{total:,} events."
    summary = count if total == len(shown) else f"{count} The newest {len(shown)} are shown."
    return _PAGE.format(summary=summary, table=_TABLE.format(rows="\n".join(map(_row, shown))))


def _row(event: StoredEvent) -> str:
    received = _moment(event.received_at)
    data = json.dumps(event.data, ensure_ascii=False, indent=2)
    if len(data) > MAX_DATA_CHARACTERS:
        data = f"{data[:MAX_DATA_CHARACTERS]}\n… {len(data) - MAX_DATA_CHARACTERS:,} more characters"
    return _ROW.format(
        iso=received.isoformat(),
        clock=received.strftime("%H:%M:%S"),
        date=received.strftime("%Y-%m-%d"),
        name=escape(event.name),
        data=escape(data),
        id=escape(event.id),
        internal_id="" if event.id == event.internal_id else event.internal_id,
        run=_run(event),
    )


def _run(event: StoredEvent) -> str:
    if not event.starts_run:
        return '<span class="badge">duplicate</span><small>no new run: the id is known</small>'
    if event.ts <= event.received_at:
        return "starts"
    return f"scheduled<small>for {_when(event.ts)}</small>"


def _when(ts: int) -> str:
    """Name a moment; of the absurd ones that the event API lets pass, some are beyond any calendar."""
    try:
        return _moment(ts).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{ts} ms, beyond the calendar"


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
