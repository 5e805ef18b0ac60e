"""Whether the event API answers and knows the key, and how far this host's clock is from its own."""

from __future__ import annotations

import time
from http import HTTPStatus

from gateway.checkup.check import Check, Level
from gateway.errors import EventApiError
from gateway.event_api import EventApi
from gateway.outcome import Answer

SECONDS = 10.0
SKEW_SECONDS = 5.0

_REFUSED = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)


async def examine(url: str, key: str, env: str) -> list[Check]:
    """Send an empty array, of which nothing is kept and which starts nothing, and look at the answer."""
    client = EventApi(url, key, env=env, timeout_seconds=SECONDS)
    try:
        before = time.time()
        answer, date = await client.probe()
        between = (before + time.time()) / 2
    except EventApiError as error:
        fix = "events wait in the inbox meanwhile; check event_api.url and the way there"
        return [Check("event API", Level.WARNING, f"{url}: {error}; {fix}"), _unknown_skew()]
    finally:
        await client.close()
    return [judge(url, answer), skew(between, date) if date is not None else _unknown_skew()]


def judge(url: str, answer: Answer) -> Check:
    """Say what an answer to an empty array tells of the event API."""
    told = f": {answer.error}" if answer.error else ""
    match answer.status:
        case HTTPStatus.OK if answer.readable:
            return Check("event API", Level.OK, f"{url} answers, and takes the key")
        case HTTPStatus.BAD_REQUEST if answer.readable:
            sentence = f"{url} answers, and did not refuse the key, but takes no empty request{told}"
            return Check("event API", Level.NOTE, sentence)
        case status if status in _REFUSED:
            sentence = f"{url} does not know the key (it answers {status}{told}); set event_api.key to one of its keys"
            return Check("event API", Level.FAULT, sentence)
        case status:
            sentence = f"{url} answers {status}{told}, as no event API does; check event_api.url and what is in between"
            level = Level.WARNING if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Level.FAULT
            return Check("event API", level, sentence)


def skew(now: float, date: float) -> Check:
    """Compare this host's clock with a Date header, which has whole seconds; both in unix seconds."""
    ahead = now - (date + 0.5)
    if abs(ahead) <= SKEW_SECONDS:
        return Check("clock", Level.OK, f"within {SKEW_SECONDS:.0f} s of the event API's")
    where = "ahead of" if ahead > 0 else "behind"
    fix = "signatures are held against it, so let it be set by NTP (timedatectl set-ntp true)"
    return Check("clock", Level.WARNING, f"{abs(ahead):.0f} s {where} the event API's; {fix}")


def _unknown_skew() -> Check:
    return Check("clock", Level.NOTE, "not compared, as the event API told no time")
