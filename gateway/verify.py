"""Verify a request against its source. Pure: no I/O, no clock, no logging; the only maker of a Delivery."""

from __future__ import annotations

import hashlib

from gateway import multipart, payload, signatures
from gateway.errors import BodyMalformed, InvalidPayload
from gateway.locators import Content, first, to_milliseconds
from gateway.model import Delivery, Reply, Request
from gateway.providers import Facts
from gateway.signatures import Proof
from gateway.sources import Source

MAX_ID_LENGTH = 255


def verify(request: Request, source: Source, now: int, traceparent: str = "") -> Delivery | Reply:
    """Return the delivery that `request` is, or the reply to a handshake; `now` is unix milliseconds.

    Raises RequestRejected, and nothing else, whatever the request holds.
    """
    provider = source.provider
    if provider.probe and (reply := provider.probe(request)):
        return reply
    inner = multipart.unwrap(request, provider.payload_field) if provider.payload_field else request
    proof = _prove(inner, source, now)
    content = _decode(inner, source, proof)
    if provider.handshake and (reply := provider.handshake(content)):
        return reply
    facts = _describe(content, source, proof)
    return Delivery(
        source=source.name,
        provider=provider.name,
        id=facts.id or f"sha256:{hashlib.sha256(inner.body).hexdigest()}",
        type=facts.type,
        received_at=request.received_at,
        body=request.body,
        time=facts.time,
        version=facts.version,
        headers=_kept_headers(request, source),
        query=request.query,
        content=content.data,
        secret=proof.secret,
        traceparent=traceparent,
        _parsed=content.take_parsed(),
    )


def _prove(request: Request, source: Source, now: int) -> Proof:
    """Check the signature by the first scheme that finds one in the request; there is no fallback to a later one."""
    if not source.verified:
        return Proof()
    if source.provider.check:
        return source.provider.check(request, source.secrets, now)
    for check in source.checks:
        if proof := check(request, now):
            return proof
    raise signatures.unsigned(request, source.schemes)


def _decode(request: Request, source: Source, proof: Proof) -> Content:
    """Undo the Content-Encoding, which is not done before the wire bytes are verified."""
    encodings = request.values("content-encoding")
    data = payload.decode(request.body, ", ".join(encodings), source.body_limit)
    if not source.provider.binary:
        try:
            payload.text(data)
        except InvalidPayload as error:
            raise BodyMalformed(f"{error}, and {source.provider.name} sends text in UTF-8") from error
    return Content(request, data, proof.fields)


def _describe(content: Content, source: Source, proof: Proof) -> Facts:
    if source.provider.describe:
        facts = source.provider.describe(content, proof)
    else:
        version = first(source.version, content)
        facts = Facts(
            id=proof.id or _text(first(source.id, content)),
            type=_text(first(source.type, content)),
            time=to_milliseconds(first(source.time, content)),
            version=_text(version) or None,
        )
    for what, text in (("id", facts.id), ("type", facts.type), ("version", facts.version or "")):
        if not text.isprintable() or len(text) > MAX_ID_LENGTH:
            raise BodyMalformed(f"the delivery's {what} is not a printable text of at most {MAX_ID_LENGTH} characters")
    return facts


def _text(value: object) -> str:
    """Read a located value as text; anything but text and whole numbers tells nothing."""
    match value:
        case bool():
            return ""
        case str():
            return value
        case int():
            return str(value)
    return ""


def _kept_headers(request: Request, source: Source) -> dict[str, str]:
    """Return the headers without credentials and signatures; repeated ones are joined as RFC 9110 §5.3 does."""
    kept: dict[str, str] = {}
    dropped = source.secret_headers
    for name, value in request.headers:
        if name not in dropped:
            kept[name] = f"{kept[name]}, {value}" if name in kept else value
    return kept
