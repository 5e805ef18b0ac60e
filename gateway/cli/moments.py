"""Moments as people write them on a command line."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from gateway.errors import ConfigError

_AGO = re.compile(r"(\d{1,6})([smhdw])")
_UNIT_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}


def option(name: str, text: str) -> int | None:
    """Return the moment given for an option as unix milliseconds, None for no text. Raises ConfigError."""
    if not text:
        return None
    if ago := _AGO.fullmatch(text):
        return max(0, int(time.time() * 1000) - int(ago[1]) * _UNIT_MS[ago[2]])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        example = "2026-01-31T08:00:00Z, or 90s, 15m, 2h, 3d or 1w for that long ago"
        raise ConfigError([f"{name} {text}: this is not a time; write one such as {example}"]) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    milliseconds = round(moment.timestamp() * 1000)
    if milliseconds < 0:
        raise ConfigError([f"{name} {text}: this is before 1970; write a later time"])
    return milliseconds


def exact(milliseconds: int) -> str:
    """Return unix milliseconds as ISO 8601 in UTC, which `option` reads as the same."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
