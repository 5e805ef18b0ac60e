"""What `gateway sources` tells of each secret of a source: when it was last needed, how often, and when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.cli import report
from gateway.config import SourceConfig
from gateway.history import SecretUse

_DAY_MS = 86_400_000
_UNITS = (("days", _DAY_MS), ("hours", 3_600_000), ("minutes", 60_000), ("seconds", 1_000))


def sentences(source: SourceConfig, uses: Mapping[str, SecretUse], now: int) -> Iterator[str]:
    """Say it of each secret where there are several, or where it ends; `now` is unix milliseconds."""
    for secret in source.secrets:
        if len(source.secrets) > 1 or secret.not_after is not None:
            yield f"secret {secret.label}{_needed(source, uses.get(secret.label), now)}{_ending(secret.not_after, now)}"


def documents(source: SourceConfig, uses: Mapping[str, SecretUse]) -> list[dict[str, Any]]:
    """Return the same for programs; uses are counted where there are several secrets."""
    return [
        {
            "label": secret.label,
            "not_after": secret.not_after,
            "uses": use.count if (use := uses.get(secret.label)) else 0,
            "last_used_at": use.last_at if use else None,
        }
        for secret in source.secrets
    ]


def _needed(source: SourceConfig, use: SecretUse | None, now: int) -> str:
    if use:
        times = "once" if use.count == 1 else f"{use.count} times"
        return f" last needed {_ago(now - use.last_at)} ago, {times} within the retention"
    return " not needed within the retention" if len(source.secrets) > 1 else ""


def _ending(not_after: int | None, now: int) -> str:
    if not_after is None:
        return ""
    return f"; {'ended' if now > not_after else 'ends'} {report.moment(not_after)}"


def _ago(milliseconds: int) -> str:
    """Write a time that has passed in its largest unit, two of which have passed."""
    unit, size = next(((unit, size) for unit, size in _UNITS if milliseconds >= 2 * size), ("seconds", 1_000))
    return f"{max(0, milliseconds) // size} {unit}"
