"""Make signatures as a sender does, and put them where the scheme says: for samples and tests."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from gateway import payload
from gateway.locators import follow, pointer_tokens
from gateway.model import Request
from gateway.scheme import Scheme
from gateway.signatures import carrier
from gateway.signatures.documents import parse_form
from gateway.signatures.engine import wanted_headers
from gateway.signatures.received import Received
from gateway.signatures.render import compile_read, compile_template
from gateway.signatures.web_token import make_token
from gateway.template import Part, locator

BODY_LIMIT = 64 * 1024 * 1024
NOTHING: Mapping[str, str] = {}

Make = Callable[[bytes], bytes]
"""Sign a message with a private key, for schemes whose configured secret is the public one."""


def sign(
    request: Request,
    scheme: Scheme,
    key: bytes,
    fields: Mapping[str, str] = NOTHING,
    *,
    params: Mapping[str, str] = NOTHING,
    make: Make | None = None,
) -> str:
    """Return the signature's value for a request that has all else, as the scheme's header or place holds it.

    `fields` are the other items of that value, such as Stripe's `t`. Without `make` an asymmetric scheme raises
    ValueError, as the key is the public one.
    """
    received = Received(request, wanted_headers(scheme), BODY_LIMIT)
    received.fields = dict(fields)
    return _value(received, scheme, key, params, make)


def signed_request(
    request: Request,
    scheme: Scheme,
    key: bytes,
    fields: Mapping[str, str] = NOTHING,
    *,
    params: Mapping[str, str] = NOTHING,
    make: Make | None = None,
) -> Request:
    """Return the request with its signature in the header, body or query that the scheme says; else as `sign`."""
    if scheme.at.startswith("json:"):
        return _signed_json(request, scheme, key, params, make)
    value = sign(request, scheme, key, fields, params=params, make=make)
    if scheme.header:
        name = f"{scheme.header}-1" if scheme.numbered else scheme.header
        return replace(request, headers=(*request.headers, (name.lower(), value)))
    place = locator(scheme.at)
    if place.kind == "query":
        added = urlencode({place.name: value})
        query = f"{request.query}&{added}" if request.query else added
        url = f"{request.url}{'&' if '?' in request.url else '?'}{added}" if request.url else ""
        return replace(request, query=query, url=url)
    pairs = [pair for pair in parse_form(request.body.decode()) if pair[0] != place.name]
    return replace(request, body=urlencode([*pairs, (place.name, value)]).encode())


def render_template(
    parts: Sequence[Part], scheme: Scheme, params: Mapping[str, str], request: Request, fields: Mapping[str, str]
) -> bytes:
    """Return what one of the scheme's templates gives for a request. Raises RequestRejected for what is absent."""
    received = Received(request, wanted_headers(scheme), BODY_LIMIT)
    received.fields = dict(fields)
    return compile_template(parts, scheme, params)(received)


def _signed_json(request: Request, scheme: Scheme, key: bytes, params: Mapping[str, str], make: Make | None) -> Request:
    """Sign the document, or each of its items, in the spelling that it will be sent in."""
    document = payload.loads(request.body)
    request = replace(request, body=payload.dumps(document))
    items = follow(document, pointer_tokens(scheme.each.removeprefix("json:"))) if scheme.each else [document]
    received = Received(request, wanted_headers(scheme), BODY_LIMIT)
    spelled = received.document()
    spelled = follow(spelled, pointer_tokens(scheme.each.removeprefix("json:"))) if scheme.each else [spelled]
    for item, as_sent in zip(items, spelled, strict=True):
        received.narrow(as_sent)
        _put(item, pointer_tokens(locator(scheme.at).name), _value(received, scheme, key, params, make))
    return replace(request, body=payload.dumps(document))


def _put(document: Any, tokens: list[str], value: str) -> None:
    for token in tokens[:-1]:
        document = document[int(token)] if isinstance(document, list) else document.setdefault(token, {})
    document[tokens[-1]] = value


def _value(received: Received, scheme: Scheme, key: bytes, params: Mapping[str, str], make: Make | None) -> str:
    text = scheme.prefix + _signature(received, scheme, key, params, make)
    leading = [received.fields[name] for name in scheme.positional if name in received.fields]
    named = [(name, value) for name, value in received.fields.items() if name not in scheme.positional]
    if scheme.assign:
        items = [*named, (carrier.signature_key(scheme, params), text)]
        return scheme.separator.join([*leading, *(f"{name}{scheme.assign}{value}" for name, value in items)])
    return scheme.separator.join([*leading, text])


def _signature(received: Received, scheme: Scheme, key: bytes, params: Mapping[str, str], make: Make | None) -> str:
    match scheme.method:
        case "token":
            return key.decode()
        case "basic":
            return f"Basic {base64.b64encode(key).decode()}"
        case "jwt-hs256":
            return make_token(scheme, key, received.body, received.url, received.request.received_at)
    if scheme.timestamp:
        received.timestamp = _read(received, scheme.timestamp)
    if scheme.id:
        received.id = _read(received, scheme.id)
    if scheme.signed_encoding == "decoded":
        received.body = received.content()
    received.secret = key
    message = compile_template(scheme.parts, scheme, params)(received)
    if make:
        return carrier.encode(make(message), scheme.encoding)
    if scheme.asymmetric:
        raise ValueError(f'method = "{scheme.method}" signs with a private key, which the gateway does not have')
    if scheme.method == "hash":
        digest = hashlib.new(scheme.algorithm, message, usedforsecurity=False).digest()
    else:
        digest = hmac.digest(key, message, scheme.algorithm)
    return carrier.encode(digest, scheme.encoding)


def _read(received: Received, where: str) -> str:
    return str(compile_read(locator(where), NOTHING)(received) or "")
