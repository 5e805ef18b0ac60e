"""What `gateway shadow` tells people and programs of what it compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from gateway.cli import report
from gateway.cli.options import line
from gateway.shadow.tally import Group, Tally

MOST_ROWS = 40


def report_on(tally: Tally) -> None:
    """Print what would change, the most frequent first."""
    if not tally.deliveries:
        line("No stored delivery with its body matches, so nothing was compared.")
        return
    report.table("old", "new", "deliveries", rows=[(*pair, count) for pair, count in tally.outcomes.most_common()])
    if tally.names:
        line("")
        report.table(
            "event",
            "old",
            "new",
            "change",
            rows=[(name, n.old, n.new, f"{n.new - n.old:+d}") for name, n in _names(tally)],
        )
    fields = sorted(tally.fields.items(), key=lambda item: -item[1].count)
    rows = [(name, path, found.count, found.old, found.new, found.example) for (name, path), found in fields]
    _section(("event", "field", "times", "old", "new", "example"), rows)
    for title, groups in (("skipped because", tally.skips), ("failed because", tally.failures)):
        _section((title, "deliveries", "example"), _reasons(groups))
    line("")
    line(summary(tally), "bold")


def summary(tally: Tally) -> str:
    """Say in a sentence what would change."""
    unchanged = tally.deliveries - tally.changed
    return (
        f"{tally.deliveries:,} deliveries compared: {unchanged:,} unchanged, {tally.changed:,} changed; "
        f"the new transform fails on {tally.failed:,}."
    )


def document(tally: Tally, source: str, references: tuple[str, str]) -> dict[str, Any]:
    """Return all that was found, for programs."""
    old, new = references
    return {
        "source": source,
        "old": old,
        "new": new,
        "deliveries": tally.deliveries,
        "changed": tally.changed,
        "failed": tally.failed,
        "outcomes": [{"old": old, "new": new, "count": count} for (old, new), count in tally.outcomes.most_common()],
        "names": [{"name": name, **asdict(counts)} for name, counts in _names(tally)],
        "fields": [{"event": name, "path": path, **asdict(group)} for (name, path), group in tally.fields.items()],
        "skips": [{"reason": reason, **asdict(group)} for reason, group in tally.skips.items()],
        "failures": [{"reason": reason, **asdict(group)} for reason, group in tally.failures.items()],
    }


def _names(tally: Tally) -> list[Any]:
    return sorted(tally.names.items(), key=lambda item: (item[1].old == item[1].new, item[0]))


def _reasons(groups: Mapping[str, Group]) -> list[tuple[object, ...]]:
    ordered = sorted(groups.items(), key=lambda item: -item[1].count)
    return [(reason, group.count, group.example) for reason, group in ordered]


def _section(columns: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> None:
    """Print a table after an empty line, when it has rows, and say how many more there are than fit."""
    if not rows:
        return
    line("")
    report.table(*columns, rows=rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        line(f"and {len(rows) - MOST_ROWS} more, with --json or --html", "dim")
