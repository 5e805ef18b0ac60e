"""What a provider is: data first, functions only where data cannot say it. Nothing subclasses this."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gateway.handshakes import Handshake
from gateway.locators import Content
from gateway.model import Reply, Request
from gateway.scheme import Scheme
from gateway.signatures import Proof

KIB = 1024
MIB = 1024 * KIB


@dataclass(frozen=True, slots=True)
class Facts:
    """What a verified request says of itself: delivery id, event type, provider's time (unix ms), schema version.

    An empty id or type and an absent time or version mean that the request does not tell.
    """

    id: str = ""
    type: str = ""
    time: int | None = None
    version: str | None = None


Check = Callable[[Request, Sequence[str], int], Proof]
"""Verify a request against the secrets at a time (unix ms), as `signatures.check` does for a scheme."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How a provider sends again what was not accepted.

    `horizon_hours`: how long its re-sends go on; 0 for one that never re-sends, None where it is not known. `checked`
    tells whether that was read in the provider's own text. `disables`: what ends the subscription for good.
    """

    horizon_hours: float | None = None
    checked: bool = False
    note: str = ""
    disables: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What of an answer differs for one provider from what everyone is answered; None is as for everyone."""

    status: int | None = None
    body: str | None = None
    type: str | None = None


@dataclass(frozen=True, slots=True)
class Provider:
    """A service that sends webhooks and the way it signs them.

    `schemes`: the first that finds a signature in the request decides. `check` verifies in their place where the
    provider's own library does. `id`, `type`, `time`, `version` are locators, the first present wins; `describe` gives
    the facts where locators cannot. `probe` answers an unsigned request before verification and must depend on
    nothing in it but its kind; `handshake` answers a verified one that is not a delivery; `handshakes` are answers of
    both kinds as data. `secret_fault` says in a sentence why a text cannot be this provider's secret. `binary` allows
    bodies that are not text. `equal_bodies`: whether equal signed bytes are the same delivery. `batch`: where the
    items are of one who sends several in a delivery. `params`: what an operator must give besides secrets, and where
    it is found. `payload_field`: the field that holds the payload, of one who sends it in multipart/form-data; schemes
    and locators are about the payload.

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
    answers: Mapping[str, Answer] = field(default_factory=dict)
    accepted: Literal["json", "empty"] = "json"

    @property
    def resends(self) -> bool:
        """Whether what was refused comes again; one that never sends again is refused last."""
        return self.retries.horizon_hours != 0
