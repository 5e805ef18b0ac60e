"""JSON Web Tokens with HMAC-SHA256 that hold a hash of the body: https://www.rfc-editor.org/rfc/rfc7519."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from typing import Any

from gateway.rejections import FieldMalformed, SignatureMalformed, SignatureMismatch, TimestampMalformed
from gateway.scheme import Scheme
from gateway.signatures.carrier import decoder
from gateway.signatures.documents import parse_json
from gateway.signatures.matching import Keys, first, is_any
from gateway.signatures.received import Received
from gateway.signatures.window import parser, require_recent

# How far the clocks of sender and receiver may differ where a token says itself when it begins and ends.
CLOCK_SKEW_SECONDS = 60
_HEADER = {"alg": "HS256", "typ": "JWT"}

_decode = decoder("base64url")


def compile_token(
    scheme: Scheme, keys: Keys
) -> Callable[[Received, Sequence[str], int], tuple[int | None, int | None]]:
    """Return the function that verifies a token: it gives the secret's index, or None, and the signed time, or None.

    The token's claims become the signature's fields.
    """

    def match(received: Received, candidates: Sequence[str], now: int) -> tuple[int | None, int | None]:
        if len(candidates) != 1:
            raise SignatureMalformed(f"{scheme.carrier} holds {len(candidates)} tokens where one was expected")
        signed, signature = _split(candidates[0])
        index = first([index for index, key in keys if is_any(hmac.digest(key, signed, "sha256"), [signature])])
        if index is None:
            return None, None
        claims = _claims(signed)
        received.fields = {name: value for name, value in claims.items() if isinstance(value, str)}
        received.message = received.body
        _require_hash(scheme.claim, claims, received.body)
        _require_hash(scheme.url_claim, claims, received.url.encode())
        return index, _require_current(scheme, received.fields, now)

    return match


def make_token(scheme: Scheme, key: bytes, body: bytes, url: str, now: int) -> str:
    """Return a token for a body and a URL, good for a minute around `now` (unix milliseconds)."""
    claims: dict[str, Any] = {"iat": now // 1000, "nbf": now // 1000, "exp": now // 1000 + CLOCK_SKEW_SECONDS}
    hashed = {scheme.claim: body, scheme.url_claim: url.encode()}
    claims |= {name: hashlib.sha256(content).hexdigest() for name, content in hashed.items() if name}
    signed = f"{_encode(json.dumps(_HEADER).encode())}.{_encode(json.dumps(claims).encode())}"
    return f"{signed}.{_encode(hmac.digest(key, signed.encode(), 'sha256'))}"


def _split(token: str) -> tuple[bytes, bytes]:
    """Return the signed text and the signature of a token whose algorithm is the one expected, whatever it says."""
    header, _, rest = token.partition(".")
    payload, _, signature = rest.partition(".")
    head, mac = _decode(header), _decode(signature)
    if head is None or mac is None or "." in signature or not payload:
        raise SignatureMalformed("the token is not three parts in base64url")
    if _object(head).get("alg") != "HS256" or "crit" in _object(head):
        raise SignatureMalformed("the token's algorithm is not HS256, which is the one that is taken")
    return f"{header}.{payload}".encode(), mac


def _claims(signed: bytes) -> dict[str, Any]:
    payload = _decode(signed.partition(b".")[2].decode())
    if payload is None:
        raise SignatureMalformed("the token's claims are not in base64url")
    return _object(payload)


def _object(content: bytes) -> dict[str, Any]:
    try:
        document = parse_json(content)
    except FieldMalformed:
        document = None
    if not isinstance(document, dict):
        raise SignatureMalformed("the token does not hold JSON objects")
    return document


def _require_hash(claim: str, claims: dict[str, Any], content: bytes) -> None:
    """Refuse a token of another body or URL; of an empty body there may be no hash."""
    if not claim or (claim not in claims and not content):
        return
    expected = hashlib.sha256(content).hexdigest()
    if not hmac.compare_digest(expected.encode(), str(claims.get(claim, "")).encode(errors="replace")):
        raise SignatureMismatch(f"the token's claim {claim!r} is not the SHA-256 of what it stands for in this request")


def _require_current(scheme: Scheme, claims: dict[str, str], now: int) -> int | None:
    """Refuse a token that is not valid yet or no longer; return its time in unix milliseconds, or None."""
    times = {name: _seconds(claims[name]) for name in ("exp", "nbf", "iat") if name in claims}
    if "exp" in times:
        require_recent(times["exp"], now, CLOCK_SKEW_SECONDS, 10**9)
    if "nbf" in times:
        require_recent(times["nbf"], now, 10**9, CLOCK_SKEW_SECONDS)
    sent_at = times.get("iat", times.get("nbf"))
    if sent_at is not None and "exp" not in times:
        require_recent(sent_at, now, scheme.tolerance_seconds, scheme.future_tolerance_seconds)
    return sent_at


def _seconds(text: str) -> int:
    try:
        return parser("s")(text.partition(".")[0])
    except TimestampMalformed as error:
        raise TimestampMalformed("a time in the token is not in seconds since 1970") from error


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
