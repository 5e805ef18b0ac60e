"""Signed times: their strict grammars, and the window around now in which they are taken."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from gateway.errors import TimestampInFuture, TimestampMalformed, TimestampStale
from gateway.scheme import TimestampUnit

_DIGITS = re.compile(r"[0-9]{1,15}")
_ISO8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
# https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7, and Scalr's form of it: "Thu 07 Sep 2017 06:30:04 UTC".
_HTTP_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) (?:GMT|UTC)", re.ASCII
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# The years 2001 to 5138, in which seconds and milliseconds cannot be taken for each other.
_PLAUSIBLE = {"s": (10**9, 10**11), "ms": (10**12, 10**14)}


def parse_timestamp(text: str, unit: TimestampUnit) -> int:
    """Return unix milliseconds; ISO 8601 without an offset is UTC.

    Raises TimestampMalformed for anything but the strict grammar of `unit`, or a value that no clock shows in it.
    """
    if unit in _PLAUSIBLE:
        return _from_number(text, unit)
    try:
        moment = _from_iso(text) if unit == "iso8601" else _from_http_date(text)
        if moment is not None:
            return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise TimestampMalformed("the signed timestamp is not a date that exists") from error
    raise TimestampMalformed(f"the signed timestamp is not written in {unit!r} as configured")


def require_recent(sent_at: int, now: int, tolerance: int, future_tolerance: int | None = None) -> None:
    """Refuse a signed time outside the window; times in unix milliseconds, tolerances in seconds; 0 enforces none."""
    if not tolerance:
        return
    ahead = future_tolerance if future_tolerance is not None else tolerance
    if now - sent_at > tolerance * 1000:
        raise TimestampStale(
            f"the signed timestamp is {(now - sent_at) // 1000} s behind this host's clock and {tolerance} s are "
            "allowed; check this host's clock, and whether something replays or holds back old requests"
        )
    if sent_at - now > ahead * 1000:
        raise TimestampInFuture(
            f"the signed timestamp is {(sent_at - now) // 1000} s ahead of this host's clock and {ahead} s are "
            "allowed; check this host's clock and the scheme's timestamp_unit"
        )


def _from_number(text: str, unit: TimestampUnit) -> int:
    least, most = _PLAUSIBLE[unit]
    if not _DIGITS.fullmatch(text):
        raise TimestampMalformed(f"the signed timestamp is not written in {unit!r} as configured")
    number = int(text)
    if not least <= number < most:
        raise TimestampMalformed(
            f"the signed timestamp is no time of this age when read in {unit!r}; check the scheme's timestamp_unit"
        )
    return number * 1000 if unit == "s" else number


def _from_iso(text: str) -> datetime | None:
    if not _ISO8601.fullmatch(text):
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _from_http_date(text: str) -> datetime | None:
    match = _HTTP_DATE.fullmatch(text)
    if not match or match[2] not in _MONTHS:
        return None
    day, year, hour, minute, second = (int(match[group]) for group in (1, 3, 4, 5, 6))
    return datetime(year, _MONTHS.index(match[2]) + 1, day, hour, minute, second, tzinfo=UTC)
