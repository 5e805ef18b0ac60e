"""What a provider is: data first, functions only where data cannot say it. Nothing subclasses this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

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
class Provider:
    """A service that sends webhooks and the way it signs them.

    `schemes`: the first whose header is present decides. `check` verifies in their place where the provider's own
    library does. `id`, `type`, `time`, `version` are locators, the first present wins; `describe` gives the facts
    where locators cannot. `probe` answers an unsigned request before verification and must depend on nothing in it
    but its kind; `handshake` answers a verified one that is not a delivery. `secret_fault` says in a sentence why a
    text cannot be this provider's secret. `binary` allows bodies that are not text. Without `retries` the provider
    does not send again what was refused, so it is refused last.
    """

    name: str
    transform: str
    register_at: str
    secret_at: str
    schemes: tuple[Scheme, ...] = ()
    check: Check | None = None
    id: tuple[str, ...] = ()
    type: tuple[str, ...] = ()
    time: tuple[str, ...] = ()
    version: tuple[str, ...] = ()
    describe: Callable[[Content, Proof], Facts] | None = None
    probe: Callable[[Request], Reply | None] | None = None
    handshake: Callable[[Content], Reply | None] | None = None
    secret_fault: Callable[[str], str | None] | None = None
    secret_headers: tuple[str, ...] = ()
    binary: bool = False
    retries: bool = True
    body_limit: int = MIB
    accepted: Literal["json", "empty"] = "json"
