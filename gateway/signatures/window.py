"""Signed times: their strict grammars, and the window around now in which they are taken."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from gateway.rejections import TimestampInFuture, TimestampMalformed, TimestampStale
from gateway.scheme import TimestampUnit

_MAX_DIGITS = 15
_ISO8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?", re.ASCII)
# https://www.rfc-editor.org/rfc/rfc9110#section-5.6.7, and Scalr's form of it: "Thu 07 Sep 2017 06:30:04 UTC".
_HTTP_DATE = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) (?:GMT|UTC)", re.ASCII
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# The years 2001 to 5138, in which seconds and milliseconds cannot be taken for each other.
_LEAST, _MOST = 10**12, 10**14


def parser(unit: TimestampUnit) -> Callable[[str], int]:
    """Return the function that reads a signed time as unix milliseconds; ISO 8601 without an offset is UTC.

    It raises TimestampMalformed for anything but the strict grammar of `unit`, or a value no clock shows in it.
    """
    return _PARSERS[unit]


def parse_timestamp(text: str, unit: TimestampUnit) -> int:
    """Return unix milliseconds, as `parser` says."""
    return parser(unit)(text)


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


def _number_in(unit: TimestampUnit, factor: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        # A zero in front would be a second spelling, into which the end of a value before it could move.
        if not (text.isascii() and text.isdigit()) or len(text) > _MAX_DIGITS or text[0] == "0":
            raise TimestampMalformed(f"the signed timestamp is not written in {unit!r} as configured")
        number = int(text) * factor
        if _LEAST <= number < _MOST:
            return number
        raise TimestampMalformed(
            f"the signed timestamp is no time of this age when read in {unit!r}; check the scheme's timestamp_unit"
        )

    return parse


def _date_in(unit: TimestampUnit, read: Callable[[str], datetime | None]) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            if moment := read(text):
                return int(moment.timestamp() * 1000)
        except (ValueError, OverflowError) as error:
            raise TimestampMalformed("the signed timestamp is not a date that exists") from error
        raise TimestampMalformed(f"the signed timestamp is not written in {unit!r} as configured")

    return parse


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


_PARSERS: dict[TimestampUnit, Callable[[str], int]] = {
    "s": _number_in("s", 1000),
    "ms": _number_in("ms", 1),
    "iso8601": _date_in("iso8601", _from_iso),
    "http_date": _date_in("http_date", _from_http_date),
}
