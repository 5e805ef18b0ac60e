"""A page for people to review what a new transform would change. Pure: a tally in, HTML out, nothing loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from gateway.shadow.tally import Field, Group, Names, Tally

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{source}: {new}</title>
<style>
:root {{ color-scheme: light dark; --line: #8884; --quiet: light-dark(#666, #a0a0a0);
  --tile: light-dark(#f4f4f5, #242427); --old: light-dark(#fdecea, #47201f);
  --new: light-dark(#e7f5e9, #1d3a24); --bad: light-dark(#b3261e, #ff8a80); }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 78rem; padding: 0 1rem; }}
h1 {{ font-size: 1.3rem; margin: 0; }}
h2 {{ font-size: 1.05rem; margin: 2rem 0 .5rem; }}
p {{ color: var(--quiet); margin: .25rem 0 1.5rem; }}
dl {{ display: flex; flex-wrap: wrap; gap: .75rem; margin: 0; }}
dl div {{ background: var(--tile); border-radius: .5rem; min-width: 8rem; padding: .6rem 1rem; }}
dt {{ color: var(--quiet); font-size: .85rem; }}
dd {{ font-size: 1.4rem; font-variant-numeric: tabular-nums; font-weight: 600; margin: 0; }}
.bad {{ color: var(--bad); }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; width: 100%; }}
th {{ color: var(--quiet); font-weight: 500; text-align: left; white-space: nowrap; }}
th, td {{ border-bottom: 1px solid var(--line); padding: .45rem 1rem .45rem 0; vertical-align: top; }}
td {{ overflow-wrap: anywhere; }}
.number {{ font-variant-numeric: tabular-nums; text-align: right; white-space: nowrap; }}
code {{ font: 13px/1.5 ui-monospace, monospace; overflow-wrap: normal; }}
del, ins {{ border-radius: .25rem; padding: .1rem .35rem; text-decoration: none; }}
del {{ background: var(--old); }}
ins {{ background: var(--new); }}
</style>
</head>
<body>
<h1>What <code>{new}</code> would change for {source}</h1>
<p>Compared with <code>{old}</code> on stored deliveries. Nothing was sent. {values}</p>
<dl>
{tiles}
</dl>
{sections}
</body>
</html>
"""
_TILE = "<div><dt>{name}</dt><dd{style}>{value:,}</dd></div>"
_SECTION = """<h2>{title}</h2>
<div class="scroll"><table>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table></div>"""
_MASKED = "Values of the data are masked; <code>--show-values</code> shows one example each."
_SHOWN = "One example of each change is shown with its values, which may be personal data."


def render(tally: Tally, source: str, references: tuple[str, str]) -> str:
    """Return the page for what was compared with the transforms of these references, old and new."""
    old, new = references
    return _PAGE.format(
        source=escape(source),
        old=escape(old),
        new=escape(new),
        values=_SHOWN if tally.show_values else _MASKED,
        tiles="\n".join(_tiles(tally)),
        sections="\n".join(_sections(tally)),
    )


def _tiles(tally: Tally) -> Iterable[str]:
    numbers = {
        "Compared": tally.deliveries,
        "Unchanged": tally.deliveries - tally.changed,
        "Changed": tally.changed,
        "Failed": tally.failed,
    }
    for name, value in numbers.items():
        yield _TILE.format(name=name, value=value, style=' class="bad"' if name == "Failed" and value else "")


def _sections(tally: Tally) -> Iterable[str]:
    if not tally.deliveries:
        yield "<h2>No stored delivery with its body matched</h2>"
        return
    yield _table("Failures of the new transform", ("Reason", "#Deliveries", "Example"), _reasons(tally.failures))
    outcomes = [(escape(old), escape(new), f"{count:,}") for (old, new), count in tally.outcomes.most_common()]
    yield _table("Deliveries by what becomes of them", ("Old", "New", "#Deliveries"), outcomes)
    yield _table("Events by name", ("Event", "#Old", "#New", "#Change"), _names(tally.names))
    yield _table("Fields that change", ("Event", "Field", "#Times", "Old", "New", "Example"), _fields(tally.fields))
    yield _table("Skipped by the new transform", ("Reason", "#Deliveries", "Example"), _reasons(tally.skips))


def _names(names: Mapping[str, Names]) -> list[tuple[str, ...]]:
    ordered = sorted(names.items(), key=lambda item: (item[1].old == item[1].new, item[0]))
    return [(escape(name), f"{n.old:,}", f"{n.new:,}", f"{n.new - n.old:+,}") for name, n in ordered]


def _fields(fields: Mapping[tuple[str, str], Field]) -> list[tuple[str, ...]]:
    ordered = sorted(fields.items(), key=lambda item: -item[1].count)
    return [
        (
            escape(name),
            _code(path),
            f"{field.count:,}",
            f"<del>{escape(field.old)}</del>",
            f"<ins>{escape(field.new)}</ins>",
            _code(field.example),
        )
        for (name, path), field in ordered
    ]


def _reasons(groups: Mapping[str, Group]) -> list[tuple[str, ...]]:
    ordered = sorted(groups.items(), key=lambda item: -item[1].count)
    return [(escape(reason), f"{group.count:,}", _code(group.example)) for reason, group in ordered]


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>"


def _table(title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table, its rows being HTML; a column whose title begins with # holds numbers."""
    if not rows:
        return ""
    style = {index: ' class="number"' for index, name in enumerate(columns) if name.startswith("#")}
    head = "".join(f"<th{style.get(index, '')}>{name.lstrip('#')}</th>" for index, name in enumerate(columns))
    body = ["".join(f"<td{style.get(index, '')}>{cell}</td>" for index, cell in enumerate(row)) for row in rows]
    return _SECTION.format(title=title, head=head, rows="\n".join(f"<tr>{cells}</tr>" for cells in body))
