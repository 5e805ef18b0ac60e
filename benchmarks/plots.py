"""Draw the newest results into docs/performance, and write their table into docs/performance.md: `make bench-plots`."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from benchmarks import results

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "performance.md"
BEGIN, END = "<!-- what `make bench-plots` writes -->\n", "<!-- end -->\n"
WIDTH, ROW, LEFT, RIGHT = 760, 30, 250, 90
COLUMNS = (
    ("webhooks/s", "requests_per_second"),
    ("CPU-µs", "cpu_us"),
    ("to the floor", "ratio_to_floor"),
    ("p50 ms", "p50_ms"),
    ("p99 ms", "p99_ms"),
    ("p99.9 ms", "p999_ms"),
    ("at /s", "paced_at"),
    ("peak MB", "peak_mb"),
    ("start s", "start_seconds"),
)
# Of each part of benchmarks/flat.py, what grows.
GROWING = {"stored": "stored", "backlog": "backlog", "sources": "sources", "bodies": "bytes"}


def bars(title: str, rows: Sequence[tuple[str, float]]) -> str:
    """Return an SVG of horizontal bars, each with its label and its value."""
    most = max(value for _, value in rows)
    scale = (WIDTH - LEFT - RIGHT) / most
    height = ROW * (len(rows) + 1) + 14
    style = 'font-family="sans-serif" font-size="14" fill="#808080" role="img"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {style}>',
        f"<title>{escape(title)}</title>",
        f'<text x="8" y="20" font-weight="bold">{escape(title)}</text>',
    ]
    for number, (label, value) in enumerate(rows, start=1):
        top, length = ROW * number + 6, max(1.0, value * scale)
        figure = f"{value:,.1f}".removesuffix(".0")
        parts += [
            f'<text x="{LEFT - 8}" y="{top + 15}" text-anchor="end">{escape(label)}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{ROW - 9}" fill="#3b7dd8"/>',
            f'<text x="{LEFT + length + 6:.1f}" y="{top + 15}">{figure}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def table(found: dict[str, Any]) -> str:
    """Return the table of the comparison, with when and where it was measured."""
    machine = found["machine"]
    host = f"{machine['cpus']} CPUs ({machine['cpu']}), {machine['memory_gb']} GB, {machine['system']}"
    load = f"load of the machine at the start {machine['load_at_start']}"
    rows = [[row["contender"], *[f"{row[key]:,}" for _, key in COLUMNS]] for row in found["rows"]]
    titles = ["contender", *[title for title, _ in COLUMNS]]
    return "\n".join(
        [
            f"Measured {found['date']}: {host}, Python {machine['python']}, {load}.",
            "",
            *[f"| {' | '.join(cells)} |" for cells in (titles, ["---", *["---:"] * len(COLUMNS)], *rows)],
            "",
        ]
    )


def main() -> None:
    """Draw what there are results of."""
    folder = DOCS / "performance"
    folder.mkdir(exist_ok=True)
    shown = []

    def draw(name: str, title: str, rows: Sequence[tuple[str, float]]) -> None:
        (folder / f"{name}.svg").write_text(bars(title, rows))
        shown.append(f"![{title}](performance/{name}.svg)\n")

    if found := results.newest("compare"):
        shown.append(table(found))
        for name, title, key in (
            ("cpu", "CPU-µs per webhook", "cpu_us"),
            ("rate", "webhooks per second, one process", "requests_per_second"),
        ):
            draw(name, title, [(row["contender"], row[key]) for row in found["rows"]])
    for part, grows in GROWING.items():
        if found := results.newest(f"flat-{part}"):
            rows = [row for row in found["rows"] if grows in row]
            for key, what in (("cpu_us", "CPU-µs per webhook"), ("peak_mb", "peak memory in MB")):
                labelled = [(f"{row[grows]:,} {grows}", row[key]) for row in rows]
                draw(f"{part}-{key}", f"{what}, by {grows} ({found['date']})", labelled)
    if found := results.newest("attack"):
        kinds = [(row["kind"], row["cpu_us"]) for row in found["rows"] if "kind" in row]
        draw("attack", f"CPU-µs of a request that is refused, and of a good one ({found['date']})", kinds)
    before, _, rest = PAGE.read_text().partition(BEGIN)
    PAGE.write_text(before + BEGIN + "\n" + "\n".join(shown) + "\n" + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
