"""What a provider is answered: one table of outcomes, and what differs for a provider or a source. Pure.

A fault of ours must come again, so its status is one on which the provider sends again; what can never be accepted
is left at a status that tells so. Never 403 and 410, on which some providers end the subscription.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from http import HTTPStatus
from types import MappingProxyType

RETRY_AFTER_SECONDS = 5
MAX_BODY_LENGTH = 4_096

_SUCCESS = range(200, 300)
_REFUSAL = range(400, 600)
_WITHOUT_BODY = (204, 205)
_FORBIDDEN = (403, 410)
_SERVER_FAULTS = 500
_STATUSES = frozenset(HTTPStatus)


class Outcome(enum.StrEnum):
    """How the receiving of a request can end, handshakes apart, which have answers of their own."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    UNVERIFIED = "unverified"
    MALFORMED = "malformed"
    ENCODING_UNSUPPORTED = "encoding_unsupported"
    METHOD_NOT_ALLOWED = "method_not_allowed"
    UNKNOWN_SOURCE = "unknown_source"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"


STATUS = {
    Outcome.ACCEPTED: 200,
    Outcome.DUPLICATE: 200,
    Outcome.UNVERIFIED: 401,
    Outcome.MALFORMED: 400,
    Outcome.ENCODING_UNSUPPORTED: 415,
    Outcome.METHOD_NOT_ALLOWED: 405,
    Outcome.UNKNOWN_SOURCE: 404,
    Outcome.TOO_LARGE: 413,
    Outcome.TOO_SLOW: 408,
    Outcome.THROTTLED: 429,
    Outcome.UNAVAILABLE: 503,
}
SUCCESSES = frozenset({Outcome.ACCEPTED, Outcome.DUPLICATE})
# Nothing is wrong with these requests, so the provider has to come back with them.
TO_COME_AGAIN = frozenset({Outcome.TOO_SLOW, Outcome.THROTTLED, Outcome.UNAVAILABLE})
_COME_AGAIN_STATUSES = (503, 429, 500)


@dataclass(frozen=True, slots=True)
class Change:
    """What of an answer differs for one provider or source from what everyone is answered; None is as for everyone.

    Raises ValueError, with a sentence, for what is no answer.
    """

    status: int | None = None
    body: str | None = None
    type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.type is not None and not self.body:
            raise ValueError("type is the body's, and there is no body; add body, or remove type")
        if self.type is not None and not (self.type.isascii() and self.type.isprintable() and "/" in self.type):
            raise ValueError("type is no media type such as text/plain")
        if self.body and self.status in _WITHOUT_BODY:
            raise ValueError(f"status {self.status} has no body; remove body, or take 200")
        if len(self.body or "") > MAX_BODY_LENGTH:
            raise ValueError(f"body is longer than {MAX_BODY_LENGTH} characters")


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer. Without `body` a JSON document tells the outcome.

    `head` is how an HTTP/1.1 response with a body begins, up to the headers that every response has.
    """

    status: int
    body: bytes | None = None
    type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)
    head: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        reason = HTTPStatus(self.status).phrase if self.status in _STATUSES else ""
        headers = {**self.headers, "Content-Type": self.media_type}
        for name, value in headers.items():
            if not f"{name}{value}".isprintable():
                raise ValueError(f"the header {name!r} has a character that cannot be printed; leave it out")
        lines = [f"HTTP/1.1 {self.status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
        object.__setattr__(self, "head", "".join(f"{line}\r\n" for line in lines).encode())

    @property
    def media_type(self) -> str:
        """The Content-Type of its body."""
        return "application/json" if self.body is None else self.type


Answers = Mapping[Outcome, Answer]


def make(
    changes: Mapping[str, Change] = MappingProxyType({}),
    *,
    sends_again: Callable[[int], bool] = lambda _: True,
    success: Change | None = None,
) -> Answers:
    """Return the answer to each outcome for a provider with these `changes`, in a source whose `success` is its own.

    `sends_again` tells on which statuses the provider does. Raises ValueError for a change that is none of an outcome,
    or whose status says something else than the outcome.
    """
    for name, change in changes.items():
        _check(name, change)
    by_outcome = {outcome: changes.get(outcome) for outcome in Outcome}
    by_outcome[Outcome.DUPLICATE] = by_outcome[Outcome.DUPLICATE] or by_outcome[Outcome.ACCEPTED]
    if success:
        _check(Outcome.ACCEPTED, success)
        by_outcome |= dict.fromkeys(SUCCESSES, success)
    return {outcome: _answer(outcome, change or Change(), sends_again) for outcome, change in by_outcome.items()}


@cache
def of_status(status: int) -> Outcome:
    """Return the outcome whose status is usually this one: a rejection knows its status, and no provider."""
    usual = next((outcome for outcome, known in STATUS.items() if known == status), None)
    return usual or (Outcome.MALFORMED if status < _SERVER_FAULTS else Outcome.UNAVAILABLE)


def _answer(outcome: Outcome, change: Change, sends_again: Callable[[int], bool]) -> Answer:
    status = change.status or STATUS[outcome]
    if outcome in TO_COME_AGAIN and not sends_again(status):
        status = next(filter(sends_again, _COME_AGAIN_STATUSES), status)
    answer = Answer(status, None if change.body is None else change.body.encode(), headers=dict(change.headers))
    if outcome in {Outcome.THROTTLED, Outcome.UNAVAILABLE}:
        answer = replace(answer, headers={"Retry-After": str(RETRY_AFTER_SECONDS), **answer.headers})
    return replace(answer, type=change.type) if change.type else answer


def _check(name: str, change: Change) -> None:
    if name not in {*Outcome}:
        raise ValueError(f"{name} is no outcome; they are {', '.join(Outcome)}")
    status, allowed = change.status, _SUCCESS if name in SUCCESSES else _REFUSAL
    if status is not None and (status not in allowed or status in _FORBIDDEN):
        kind = "from 200 to 299" if name in SUCCESSES else "from 400 to 599, and neither 403 nor 410"
        raise ValueError(f"{status} is no status for {name}; take one {kind}")
