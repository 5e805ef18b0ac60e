"""Change what a signature covers, so that a gateway that works must refuse the request."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urlencode

from gateway import payload
from gateway.dev.draft import put_at
from gateway.locators import follow, pointer_tokens
from gateway.model import Request
from gateway.scheme import Scheme
from gateway.signatures.documents import parse_form
from gateway.template import Placeholder

# The second of two letters in a row, within a text of JSON or a value of a form: no time, no name, no escape.
_LETTER = re.compile(rb'(?:[:\[,]\s*"|=)[^"&%]*?[A-Za-z]([A-Za-z])')
_FORMS = frozenset({"form_sorted", "form_amp_sorted"})
_QUERIES = frozenset({"url", "query_sorted", "path_query"})


def tamper(request: Request, scheme: Scheme) -> Request:
    """Return the request with one thing changed that is signed: in the body where all of it is.

    The time stays, as a changed one may be refused for what it is.

    Raises ValueError, with a sentence, where nothing of the request is signed.
    """
    if scheme.covers_body:
        return replace(request, body=tampered(request.body))
    for place in scheme.placeholders():
        if place.place != scheme.timestamp and (changed := _change(request, scheme, place)):
            return changed
    raise ValueError("its signature covers nothing of the request, so there is nothing to tamper with")


def tampered(body: bytes) -> bytes:
    """Return a body with the case of one letter changed, still valid as text."""
    found = _LETTER.search(body)
    position = found.start(1) if found else next(index for index, byte in enumerate(body) if chr(byte).isalpha())
    return body[:position] + bytes([body[position] ^ 0x20]) + body[position + 1 :]


def _change(request: Request, scheme: Scheme, place: Placeholder) -> Request | None:
    """Return the request with another value at a place; None where it cannot be changed there."""
    if place.kind in _FORMS:
        return replace(request, body=request.body + b"&added=1")
    if place.kind in _QUERIES:
        return replace(request, query=f"{request.query}&added=1".lstrip("&"))
    match place.kind:
        case "form":
            pairs = parse_form(request.body.decode())
            return replace(
                request, body=urlencode([(name, _other(name, value, place)) for name, value in pairs]).encode()
            )
        case "header":
            headers = tuple((name, _other(name, value, place)) for name, value in request.headers)
            return replace(request, headers=headers)
        case "json":
            where = f"{scheme.each.removeprefix('json:')}/0{place.name}" if scheme.each else place.name
            document = payload.loads(request.body)
            changed = f"{follow(document, pointer_tokens(where))}1"
            return replace(request, body=payload.dumps(put_at(document, pointer_tokens(where), changed)))
    return None


def _other(name: str, value: str, place: Placeholder) -> str:
    return f"{value}1" if name == place.name else value
