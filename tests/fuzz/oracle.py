"""What must hold of every verdict, whatever the request was: the only judge of the fuzz, and none of the gateway's."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from gateway import errors, multipart, payload
from gateway.errors import GatewayError
from gateway.locators import Content, compile_locator
from gateway.model import Delivery, Learned, Reply, Request
from gateway.rejections import RequestRejected
from tests.fuzz.targets import Target

STATUSES = {400, 401, 405, 413, 415}
SHORTEST_LEAK = 12
MAX_ID_LENGTH = 255
DECODED_LIMIT = 64 * 1024 * 1024

Verdict = Delivery | Reply | Learned | Exception


def faults(target: Target, genuine: Request, request: Request, verdict: Verdict) -> list[str]:
    """Return a sentence for everything about a verdict that must not be; `genuine` is what the request was made of."""
    match verdict:
        case RequestRejected():
            return [*_of_rejection(target, genuine, verdict)]
        case Exception():
            return [f"verify raised {type(verdict).__name__}: {verdict}"]
        case Learned():
            return ["a secret was learned by a source that has one"]
        case Reply():
            return [*_of_reply(target, verdict)]
    return _of_delivery(target, genuine, request, verdict)


def _of_rejection(target: Target, genuine: Request, rejection: RequestRejected) -> Iterator[str]:
    if rejection.status not in STATUSES:
        yield f"the status {rejection.status} is not a documented one"
    sentence = str(rejection)
    if any(secret in sentence for secret in target.source.secrets):
        yield "the sentence holds the secret"
    carried = [value for name, value in genuine.headers if name in target.scheme.headers]
    if any(len(value) >= SHORTEST_LEAK and value in sentence for value in carried):
        yield "the sentence holds the signature"


def _of_reply(target: Target, reply: Reply) -> Iterator[str]:
    if any(secret.encode() in reply.body for secret in target.source.secrets):
        yield "the reply holds the secret"


def _of_delivery(target: Target, genuine: Request, request: Request, delivery: Delivery) -> list[str]:
    """Hold a delivery to what was signed: by the request it was made of, or by another genuine one as a whole."""
    found = []
    if request.method != "POST":
        found.append(f"a {request.method} became a delivery")
    if any(not text.isprintable() or len(text) > MAX_ID_LENGTH for text in (delivery.id, delivery.type)):
        found.append("a fact of the delivery is not a short printable text")
    if target.replays and not any(_is_known(delivery, known) for known in target.known):
        found.append("it would be taken again, under another id, as often as someone likes")
    forged = [*_changes(target, genuine, request)]
    if forged and all([*_changes(target, other, request)] for other in target.genuine):
        found += forged
    return found


def _is_known(delivery: Delivery, known: Delivery) -> bool:
    """Tell whether the inbox absorbs a delivery as a re-send of a known one: by either of two marks."""
    return delivery.id == known.id or (bool(delivery.digest) and delivery.digest == known.digest)


def _changes(target: Target, genuine: Request, request: Request) -> Iterator[str]:
    """Yield what the signature covers, by the scheme's own word, and differs from the genuine request."""
    inner, sent = _inner(target, request), _inner(target, genuine)
    if target.covers_body and _body(target, inner) != _body(target, sent):
        yield "the body is covered by the signature, was changed, and was taken"
    if target.covers_url and inner.url != sent.url:
        yield "the URL is covered by the signature, was changed, and was taken"
    for place in target.places:
        known, found = _value(place, sent), _value(place, inner)
        if known != found:
            yield f"{place} is authenticated, was changed from {known!r} to {found!r}, and was taken"


def _body(target: Target, request: Request) -> bytes | None:
    """Return the bytes that are covered: those on the wire, or what they decode to."""
    if target.scheme.signed_encoding == "wire":
        return request.body
    try:
        return payload.decode(request.body, ", ".join(request.values("content-encoding")), DECODED_LIMIT)
    except GatewayError:
        return None


def _inner(target: Target, request: Request) -> Request:
    field = target.source.provider.payload_field
    return multipart.unwrap(request, field) if field else request


def _value(place: str, request: Request) -> Any:
    """Return the value at a place as a transform would read it."""
    try:
        encoding = ", ".join(request.values("content-encoding"))
        return _locator(place)(Content(request, payload.decode(request.body, encoding, DECODED_LIMIT)))
    except (GatewayError, errors.InvalidPayload) as error:
        return type(error)


@cache
def _locator(place: str) -> Any:
    return compile_locator(place)
