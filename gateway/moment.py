"""Times as people read them. Pure."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(milliseconds: int, between: str = " ") -> str:
    """Return a time (unix milliseconds) in UTC to the second, with a space or a `T` between date and time."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime(f"%Y-%m-%d{between}%H:%M:%SZ")
