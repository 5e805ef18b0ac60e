"""What a provider is: data first, functions only where data cannot say it. Nothing subclasses this."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.answers import Answers, Change, Outcome, make
from gateway.handshakes import Handshake
from gateway.locators import Content
from gateway.model import Reply, Request
from gateway.scheme import Scheme
from gateway.signatures import Proof
from gateway.value import value

KIB = 1024
MIB = 1024 * KIB

_STATUS = re.compile(r"[1-5](xx|[0-9][0-9])")


@value
class Facts:
    """What a verified request says of itself: delivery id, event type, provider's time (unix ms), schema version.

    An empty id or type and an absent time or version mean that the request does not tell. `id_at` is the locator of
    what the id is made of, by which it is found out whether the signature covers it.
    """

    id: str = ""
    type: str = ""
    time: int | None = None
    version: str | None = None
    id_at: str = ""


Check = Callable[[Request, Sequence[str], int], Proof]
"""Verify a request against the secrets at a time (unix ms), as `signatures.check` does for a scheme."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How a provider sends again what was not accepted.

    `horizon_hours`: how long its re-sends go on; 0 for one that never re-sends, None where it is not known. `checked`
    tells whether that was read in the provider's own text. `disables`: what ends the subscription for good; where that
    is a time without success or a number of failures, `disables_after_hours` or `disables_after_failures` is it.

    Statuses, such as 408 or 5xx: `on` are those on which it sends again, empty for all that are no success; `never` are
    those that end a delivery, or the subscription, whatever `on` says; `success` are those that it takes as accepted.
    """

    horizon_hours: float | None = None
    checked: bool = False
    note: str = ""
    disables: str = ""
    disables_after_hours: float | None = None
    disables_after_failures: int | None = None
    on: tuple[str, ...] = ()
    never: tuple[str, ...] = ()
    success: tuple[str, ...] = ("2xx",)

    def __post_init__(self) -> None:
        if not self.disables and (self.disables_after_hours or self.disables_after_failures):
            raise ValueError("disables is missing; say in words what ends the subscription")
        for status in (*self.on, *self.never, *self.success):
            if not _STATUS.fullmatch(status):
                raise ValueError(f"{status!r} is neither a status such as 503 nor a class of them such as 5xx")

    def is_success(self, status: int) -> bool:
        """Tell whether `status` says to the provider that a delivery was accepted."""
        return _fits(status, self.success)

    def sends_again(self, status: int) -> bool:
        """Tell whether a delivery that was answered with `status` comes again, where anything ever does."""
        ended = self.is_success(status) or _fits(status, self.never)
        return not ended and (not self.on or _fits(status, self.on))


@dataclass(frozen=True, slots=True)
class Provider:
    """A service that sends webhooks and the way it signs them.

    `schemes`: the first that finds a signature in the request decides. `check` verifies in their place where data
    cannot say how. `explain_mismatch` says what a signature that no secret made may come from. `id`, `type`, `time`,
    `version` are locators, the first present wins; `describe` gives the facts where locators cannot. `probe` answers
    an unsigned request before verification and must depend on nothing in it but its kind; `handshake` answers a
    verified one that is not a delivery; `handshakes` are answers of both kinds as data. `secret_fault` says in a
    sentence why a text cannot be this provider's secret. `binary` allows bodies that are not text. `equal_bodies`:
    whether equal signed bytes are the same delivery. `batch`: where the items are of one who sends several in a
    delivery. `params`: what an operator must give besides secrets, and where it is found. `payload_field`: the field
    that holds the payload, of one who sends it in multipart/form-data; schemes and locators are about the payload.
    `answers`: what is answered otherwise than everyone is, by outcome.

    `confidence` is about the signature scheme and `read_from` says what that was read from; `notes` are known traps.
    """

    name: str
    transform: str
    register_at: str
    secret_at: str
    title: str = ""
    docs: str = ""
    read_from: tuple[str, ...] = ()
    confidence: Literal["high", "medium", "low"] = "high"
    notes: tuple[str, ...] = ()
    prefix: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    schemes: tuple[Scheme, ...] = ()
    check: Check | None = None
    explain_mismatch: Callable[[Request], str] | None = None
    id: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    time: tuple[str, ...] = ()
    version: tuple[str, ...] = ()
    equal_bodies: Literal["same", "distinct"] = "same"
    batch: str = ""
    describe: Callable[[Content, Proof], Facts] | None = None
    probe: Callable[[Request], Reply | None] | None = None
    handshake: Callable[[Content], Reply | None] | None = None
    handshakes: tuple[Handshake, ...] = ()
    secret_fault: Callable[[str], str | None] | None = None
    secret_headers: tuple[str, ...] = ()
    payload_field: str = ""
    binary: bool = False
    retries: Retries = Retries()
    body_limit: int = MIB
    answer_seconds: float | None = None
    answers: Mapping[str, Change] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.answer()

    @property
    def resends(self) -> bool:
        """Whether what was refused comes again; one that never sends again is refused last."""
        return self.retries.horizon_hours != 0

    def answer(self, success: Change | None = None) -> Answers:
        """Return what this provider is answered, in a source whose `success` may be its own.

        Raises ValueError, with a sentence, where that is no answer, or no success to this provider.
        """
        made = make(self.answers, sends_again=self.retries.sends_again, success=success)
        status = made[Outcome.ACCEPTED].status
        if not self.retries.is_success(status):
            taken = ", ".join(self.retries.success)
            raise ValueError(f"{self.name} takes {taken} for a success and would send again after {status}")
        return made


def _fits(status: int, patterns: Sequence[str]) -> bool:
    return str(status) in patterns or f"{status // 100}xx" in patterns
