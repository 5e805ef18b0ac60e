"""What is wrong with a signed time: this host's clock, the sender's delay, or its unit. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import get_args

from gateway.diagnosis.findings import Case, Cause, Finding
from gateway.diagnosis.tries import schemes_of, signed_at, untimed
from gateway.moment import utc
from gateway.rejections import RequestRejected
from gateway.scheme import Scheme, TimestampUnit
from gateway.signatures import check

YEAR_MS = 366 * 86_400_000

_RETRY_HEADERS = ("x-slack-retry-num",)
_COUNT = re.compile(r"[0-9]{1,3}")


def of_the_clock(case: Case) -> Iterator[Finding]:
    """Say by how much a genuine signed time is off this host's clock, or that its unit is another one."""
    moment = signed_at(case.request, case.source)
    if unit := _other_unit(case, moment):
        yield unit
        return
    if moment is None or not case.label.startswith("timestamp_"):
        return
    off = abs(moment - case.now) // 1000
    where = "ahead of" if moment > case.now else "behind"
    yield Finding(
        Cause.CLOCK,
        f"the signature is genuine and its time, {_told(moment)}, is {off} s {where} this host's clock, "
        f"{_told(case.now)}; {_allowed(case)} s are allowed{_retry(case)}",
        _clock_remedy(ahead=moment > case.now),
        proven=True,
    )


def _clock_remedy(*, ahead: bool) -> str:
    check_clock = "check that this host's clock follows NTP (timedatectl, chronyc tracking)"
    if ahead:
        return check_clock
    return f"{check_clock}; if it does, find what holds requests back or replays old ones, as senders sign anew"


def _retry(case: Case) -> str:
    counts = [value for name in _RETRY_HEADERS for value in case.request.values(name) if _COUNT.fullmatch(value)]
    return f"; it is retry {counts[0]}, which may have been signed when it was first sent" if counts else ""


def _allowed(case: Case) -> int:
    return next((scheme.tolerance_seconds for scheme in case.source.schemes if scheme.timestamp), 0)


def _other_unit(case: Case, moment: int | None) -> Finding | None:
    """Find the unit under which a genuine signed time is one of about now."""
    if moment is not None and abs(moment - case.now) < YEAR_MS:
        return None
    for scheme, keys in schemes_of(case.source):
        for unit in get_args(TimestampUnit):
            sent_at = _time_in(case, scheme, unit, keys)
            if unit != scheme.timestamp_unit and sent_at is not None and abs(sent_at - case.now) < YEAR_MS:
                return Finding(
                    Cause.TIMESTAMP_UNIT,
                    f"the signature is genuine and its time is written in {unit!r}, not in {scheme.timestamp_unit!r}",
                    f'set signature.timestamp_unit = "{unit}"',
                    proven=True,
                )
    return None


def _time_in(case: Case, scheme: Scheme, unit: TimestampUnit, keys: tuple[bytes, ...]) -> int | None:
    changed = untimed(scheme, timestamp_unit=unit)
    try:
        proof = check(case.request, changed, keys, case.now, case.source.params) if changed else None
    except (RequestRejected, ValueError):
        return None
    return proof.timestamp if proof else None


def _told(milliseconds: int) -> str:
    try:
        return utc(milliseconds, "T")
    except (OverflowError, ValueError, OSError):
        return "a date that does not exist"
