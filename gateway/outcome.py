"""What each answer of the event API means: (answer, how many events were sent) -> what becomes of them. Pure.

| answer                                   | events                                | lane                        |
| ---------------------------------------- | ------------------------------------- | --------------------------- |
| 200, one non-empty id per event          | all are in                            | healthy                     |
| 200, anything else                       | unknown: the same batch again         | backs off                   |
| 400 with n ids, n < sent                 | n are in, the next is suspect, split  | unchanged                   |
| 400, one event sent                      | refused alone; dead after several     | unchanged                   |
| 401, 403, 404, 410, other 4xx, 3xx       | none is in                            | pauses: configuration       |
| 408, 425, 5xx, broken after sending      | unknown: the same batch again         | backs off                   |
| 413, several sent / one sent             | halve / dead                          | unchanged                   |
| 429                                      | none is in                            | waits as told, 1 s to 1 h   |
| no connection                            | none is in                            | backs off                   |

How the event API answers was observed, not promised: its 200 comes as text/plain and may come from a wrong path too,
every failure inside a batch is a 400 after the events before it were accepted, and an internal failure is a 400 as
well. So a 200 counts only with its ids, and one event is given up only when it fails alone, several times, over
minutes, and others succeeded between one time and the next.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from http import HTTPStatus

from gateway.errors import EventApiError, EventApiUnreachable
from gateway.model import Entry

MIN_RETRY_AFTER = 1.0
MAX_RETRY_AFTER = 3_600.0

REJECTION_DELAYS_MS = (5_000, 30_000, 120_000, 300_000, 600_000, 1_800_000)
"""How long an event that was refused alone waits before its next try, longer each time."""

_CONFIGURATION = {
    HTTPStatus.UNAUTHORIZED: "the event key is not known to the event API; check event_api.key",
    HTTPStatus.FORBIDDEN: "the event key may not send these events; check its allow and deny lists",
    HTTPStatus.NOT_FOUND: "the event API does not know this key or path; check event_api.url and event_api.key",
    HTTPStatus.GONE: "the event API says the address is gone; check event_api.url",
}
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the event API answered. `ids` are the non-empty ones; `error` is its own sentence, free of the key."""

    status: int
    ids: tuple[str, ...] = ()
    error: str = ""
    retry_after: float | None = None
    readable: bool = True


class Rest(enum.Enum):
    """What becomes of the events that were not accepted."""

    NONE = "none"
    AGAIN = "again"
    FROZEN = "frozen"
    SPLIT = "split"
    HALVE = "halve"
    REFUSED = "refused"
    DEAD = "dead"


class Effect(enum.Enum):
    """What the answer does to the lane."""

    HEALTHY = "healthy"
    NEUTRAL = "neutral"
    BACK_OFF = "back_off"
    PAUSE = "pause"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The meaning of one answer: the first `accepted` events are in, the others become `rest`."""

    label: str
    rest: Rest
    effect: Effect
    accepted: int = 0
    detail: str = ""
    retry_after: float | None = None


def judge(answer: Answer | EventApiError, sent: int) -> Verdict:
    """Say what an answer to a request with `sent` events means."""
    if isinstance(answer, EventApiUnreachable):
        return Verdict(answer.label, Rest.AGAIN, Effect.BACK_OFF, detail=str(answer))
    if isinstance(answer, EventApiError):
        return Verdict(answer.label, Rest.FROZEN, Effect.BACK_OFF, detail=str(answer))
    match answer.status:
        case 200:
            return _judge_success(answer, sent)
        case 400:
            return _judge_refusal(answer, sent)
        case 413:
            rest = Rest.HALVE if sent > 1 else Rest.DEAD
            return Verdict("too_large", rest, Effect.NEUTRAL, detail=answer.error or "the request is too large")
        case 429:
            wait = answer.retry_after
            wait = None if wait is None else min(max(wait, MIN_RETRY_AFTER), MAX_RETRY_AFTER)
            return Verdict("throttled", Rest.AGAIN, Effect.BACK_OFF, detail=answer.error, retry_after=wait)
        case status if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _PASSING:
            return Verdict("event_api_failed", Rest.FROZEN, Effect.BACK_OFF, detail=answer.error)
    return _judge_configuration(answer)


def _judge_success(answer: Answer, sent: int) -> Verdict:
    if answer.readable and not answer.error and len(answer.ids) == sent:
        return Verdict("accepted", Rest.NONE, Effect.HEALTHY, accepted=sent)
    detail = (
        f"200 with {len(answer.ids)} ids for {sent} events"
        if answer.readable
        else "200 without a JSON object, as a wrong path gives; check event_api.url"
    )
    return Verdict("answer_unreadable", Rest.FROZEN, Effect.BACK_OFF, detail=answer.error or detail)


def _judge_refusal(answer: Answer, sent: int) -> Verdict:
    if sent == 1:
        return Verdict("refused", Rest.REFUSED, Effect.NEUTRAL, detail=answer.error)
    accepted = min(len(answer.ids), sent - 1)
    return Verdict("refused", Rest.SPLIT, Effect.NEUTRAL, accepted=accepted, detail=answer.error)


def _judge_configuration(answer: Answer) -> Verdict:
    if answer.status < HTTPStatus.BAD_REQUEST:
        detail = f"answered {answer.status}, a redirect, which is not followed; check event_api.url"
    else:
        detail = _CONFIGURATION.get(HTTPStatus(answer.status), "") if answer.status in _CONFIGURATION else ""
        detail = detail or answer.error or f"answered {answer.status}; check event_api.url and event_api.key"
    return Verdict("misconfigured", Rest.AGAIN, Effect.PAUSE, detail=detail)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What becomes of an event refused alone: tried again at `due_at` (unix ms), or given up.

    `rejections` counts the refusals that speak against the event.
    """

    rejections: int
    due_at: int | None


def refuse(entry: Entry, now: int, last_success: int | None) -> Refusal:
    """Say what becomes of an entry that was refused alone in its request.

    Its refusal speaks against it only where others succeeded since the one before: while everything is refused, as
    often and as long as that may be, the entry waits longer and longer and its count stays.
    """
    before = entry.rejected_at
    if before is None:
        return Refusal(1, now + REJECTION_DELAYS_MS[0])
    others_succeed = last_success is not None and last_success > before
    rejections = entry.rejections + others_succeed
    if rejections > len(REJECTION_DELAYS_MS):
        return Refusal(rejections, None)
    waited = entry.due_at - before
    delay = next((longer for longer in REJECTION_DELAYS_MS if longer > waited), REJECTION_DELAYS_MS[-1])
    return Refusal(rejections, now + delay)
