"""A provider's time as the `ts` of an event. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.locators import to_milliseconds

FORMS = 'give a number or text such as 1700000000, "1700000000.123" or "2026-01-02T03:04:05Z"'


def to_ts(value: Any) -> int:
    """Return a time, in whatever form a provider tells it, as unix milliseconds.

    Numbers, also as text, are seconds, milliseconds, microseconds or nanoseconds by their size; text is ISO 8601 too;
    what has no offset is UTC. Raises ValueError with a sentence that says what is wrong, without the value.
    """
    if isinstance(value, datetime):
        value = (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    moment = to_milliseconds(value)
    if moment is None:
        raise ValueError(f"{_told(value)} tells no time; {FORMS}")
    return moment


def _told(value: Any) -> str:
    match value:
        case None:
            return "null, or a field that is not there,"
        case bool() | dict() | list():
            return f"a value of type {type(value).__name__}"
        case str():
            return f"text of {len(value)} characters" if value else "empty text"
        case int() | float():
            return "a number that is negative" if value < 0 else "a number out of range"
    return f"a value of type {type(value).__name__}"
