"""How a re-send is known: the id, the digest of what was signed, and for how long both are remembered. Pure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from functools import cache
from typing import Literal

from gateway.model import Request
from gateway.providers import Provider
from gateway.scheme import Scheme
from gateway.signatures import Proof

DAY_HOURS = 24
DAY_MS = 86_400_000

_SIGN_NOTHING = frozenset({"token", "basic"})
_WHOLE_FORM = frozenset({"form_sorted", "form_amp_sorted"})


def window_days(provider: Provider, usual: int, own: int | None) -> int:
    """Return for how many days re-sends are absorbed: `own` where set, else `usual`, or the provider's if longer."""
    return own or max(usual, math.ceil((provider.retries.horizon_hours or 0) / DAY_HOURS))


def remembered_ms(window_days: int) -> int:
    """Return how long ids are kept: a day more than promised, as the host's clock may be set by a day."""
    return (window_days + 1) * DAY_MS


BODY = "{body}"

EqualBodies = Literal["same", "distinct"]

Digest = Callable[[Request, Proof, str], str]
"""Return the digest of a verified request whose id was found at a place: a locator, or BODY where that stands in.

Where the proof has the id the place is "".
"""


def no_digest(_request: Request, _proof: Proof, _at: str) -> str:
    """Return "": the request is known by its id alone."""
    return ""


def compile_digest(scheme: Scheme, equal_bodies: EqualBodies) -> Digest:
    """Return how a scheme's requests are known besides by their id: the digest of what was signed, or "" without need.

    There is none where the signature covers the id, as a re-send under another id is not possible then, nor where
    nothing is signed or equal bodies are different facts. The stand-in for an id has one, as whoever takes an id away
    that was not signed gets it. The body belongs to the digest even where the signature leaves it out, or two
    deliveries signed in the same second could pass for one; but not where all fields of a form are signed, whose order
    and spelling anyone can change. The text of the signature does not: it can be written in several ways.
    """
    if scheme.method in _SIGN_NOTHING or equal_bodies == "distinct":
        return no_digest
    covered = cache(scheme.authenticates)
    tells_all = scheme.covers_body or any(place.kind in _WHOLE_FORM for place in scheme.placeholders())

    def digest(request: Request, proof: Proof, at: str) -> str:
        place = at or (scheme.id if proof.id else "")
        if place and place != BODY and covered(place):
            return ""
        if proof.signed and tells_all:
            return proof.digest
        return hashlib.sha256(proof.signed + request.body).hexdigest()

    return digest


def stand_in(request: Request, proof: Proof, equal_bodies: EqualBodies) -> str:
    """Return the id of a delivery that has none of its own: the SHA-256 of the body.

    Where equal bodies are different facts, the signed time belongs to it, or else the time of receipt: a re-send may
    then be forwarded again, but no fact is taken for another.
    """
    moment = b"" if equal_bodies == "same" else b"%d\n" % (proof.timestamp or request.received_at)
    return f"sha256:{hashlib.sha256(moment + request.body).hexdigest()}"
