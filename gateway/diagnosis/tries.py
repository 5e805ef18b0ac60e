"""Ask the signature engine what-if questions, with the window left out. Pure; nothing here accepts a request."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from gateway import signatures
from gateway.model import Request
from gateway.rejections import RequestRejected
from gateway.scheme import Scheme
from gateway.sources import Source

CENTURY_SECONDS = 100 * 366 * 86_400
MAX_TRIED_BODY = 1_048_576


def untimed(scheme: Scheme, **changes: Any) -> Scheme | None:
    """Return the scheme with changes and any signed time in its window; None where that is no scheme."""
    window: dict[str, Any] = {"tolerance_seconds": CENTURY_SECONDS, "future_tolerance_seconds": CENTURY_SECONDS}
    try:
        return replace(scheme, **window, **changes)
    except ValueError:
        return None


def fits(request: Request, scheme: Scheme | None, keys: Sequence[bytes], source: Source) -> bool:
    """Tell whether a key makes the request's signature under a scheme of `untimed`, with the source's constants."""
    if scheme is None or not keys or len(request.body) > MAX_TRIED_BODY:
        return False
    try:
        signatures.check(request, scheme, keys, request.received_at, source.params)
    except (RequestRejected, ValueError):
        return False
    return True


def fitting_body(request: Request, source: Source, bodies: Iterable[tuple[str, bytes]]) -> str | None:
    """Return the name of the first body under which the signature fits a configured secret."""
    tried = {request.body}
    for name, body in bodies:
        if body in tried:
            continue
        tried.add(body)
        if any(fits(replace(request, body=body), scheme, keys, source) for scheme, keys in schemes_of(source)):
            return name
    return None


def schemes_of(source: Source) -> list[tuple[Scheme, tuple[bytes, ...]]]:
    """Return the source's schemes, their windows left out, each with its keys."""
    pairs = zip(source.schemes, source.keys, strict=True)
    return [(scheme, keys) for given, keys in pairs if (scheme := untimed(given))]


def key_of(scheme: Scheme, secret: str) -> tuple[bytes, ...]:
    """Return the key that a secret stands for under a scheme, or none where it cannot be one."""
    try:
        return (scheme.decode_key(secret),)
    except ValueError:
        return ()


def signed_at(request: Request, source: Source) -> int | None:
    """Return the signed time (unix milliseconds) of a request whose signature fits, else None."""
    for scheme, keys in schemes_of(source):
        try:
            return signatures.check(request, scheme, keys, request.received_at, source.params).timestamp
        except (RequestRejected, ValueError):
            continue
    return None
