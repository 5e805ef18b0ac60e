"""Compile templates into functions that give the bytes a sender signed."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import urlencode

from gateway.locators import pointer_tokens
from gateway.rejections import FieldMalformed, FieldMissing, HeaderMalformed, HeaderMissing, SignatureMalformed
from gateway.scheme import Scheme
from gateway.signatures.received import Received
from gateway.template import Part, Placeholder, Segment

MAX_LISTED_HEADERS = 32
Render = Callable[[Received], bytes]
Read = Callable[[Received], str | bytes | None]

_ENDED_BY_SEPARATOR = frozenset({"header", "sig", "id", "query"})


def compile_template(parts: Sequence[Part], scheme: Scheme, params: Mapping[str, str]) -> Render:
    """Return the function that renders a template for a request; absent and ambiguous values are refused by it."""
    following = [*parts[1:], ""]
    pairs = [(part, after) for part, after in zip(parts, following, strict=True) if not isinstance(part, str)]
    renders = [_compile_part(part, after, scheme, params) for part, after in pairs]
    form = b"".join(part.encode().replace(b"%", b"%%") if isinstance(part, str) else b"%b" for part in parts)
    if form == b"%b":
        return renders[0]
    if len(renders) == 2:  # noqa: PLR2004 - the most common form, {timestamp} and {body}, without a loop
        one, other = renders
        return lambda received: form % (one(received), other(received))
    return lambda received: form % tuple([render(received) for render in renders])


def compile_read(place: Placeholder, params: Mapping[str, str]) -> Read:
    """Return the function that reads one value, unfiltered; it returns None where the value is absent."""
    name = place.name
    match place.kind:
        case "header":
            return lambda received: received.header(name)
        case "sig":
            return lambda received: received.sig(name)
        case "form":
            return lambda received: received.form(name)
        case "query":
            return lambda received: received.query(name)
        case "json":
            tokens = pointer_tokens(name)
            return lambda received: received.json(tokens)
        case "param":
            constant = params.get(name, "")
            return lambda _: constant
        case "header_values":
            return lambda received: _header_values(received, name)
        case "form_amp_sorted":
            return lambda received: _form_amp_sorted(received, name)
    return _PLAIN[place.kind]


def _compile_part(part: Placeholder | Segment, following: Part, scheme: Scheme, params: Mapping[str, str]) -> Render:
    match part:
        case Placeholder(kind="body", filters=()):
            return lambda received: received.body
        case Placeholder(kind="timestamp", filters=()):
            return lambda received: received.timestamp.encode()
        case Placeholder(filters=()) if part.place.lower() == scheme.timestamp.lower():
            # What was read as the time, whose grammar keeps it from running into what follows.
            return lambda received: received.timestamp.encode()
        case Placeholder():
            return _compile_placeholder(part, following, scheme, params)
    return _compile_segment(part, scheme, params)


def _compile_placeholder(place: Placeholder, following: Part, scheme: Scheme, params: Mapping[str, str]) -> Render:
    read, change = compile_read(place, params), _compile_filters(place.filters)
    # A timestamp's own grammar keeps it from running into what follows.
    is_timestamp = place.kind == "timestamp" or place.place.lower() == scheme.timestamp.lower()
    ends = not is_timestamp and place.kind in _ENDED_BY_SEPARATOR
    separator = following if ends and isinstance(following, str) else ""

    def render(received: Received) -> bytes:
        value = read(received)
        if value is None:
            if not place.optional:
                raise missing(place)
            value = ""
        if isinstance(value, str):
            if separator and separator in value:
                raise HeaderMalformed(f"{place.place} holds {separator!r}, which separates it from what follows")
            value = encode(value)
        return change(value) if change else value

    return render


def _compile_segment(segment: Segment, scheme: Scheme, params: Mapping[str, str]) -> Render:
    reads = [compile_read(part, params) for part in segment.parts if isinstance(part, Placeholder)]
    inner = compile_template(segment.parts, scheme, params)
    return lambda received: b"" if any(read(received) is None for read in reads) else inner(received)


def missing(place: Placeholder) -> HeaderMissing | FieldMissing | SignatureMalformed:
    """Return the refusal of a request that lacks a signed value."""
    match place.kind:
        case "header":
            return HeaderMissing(f"the header {place.name} is missing or empty, and it is part of what is signed")
        case "sig":
            return SignatureMalformed(f"the signature does not hold {place.name!r} exactly once")
    return FieldMissing(f"{place.place} is missing, and it is part of what is signed")


def encode(text: str) -> bytes:
    """Return a value's UTF-8. Raises FieldMalformed for half a character, which JSON escapes can make."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise FieldMalformed("a signed value is not text that UTF-8 can hold") from error


def _compile_filters(names: Sequence[str]) -> Callable[[bytes], bytes] | None:
    functions = [_FILTERS[name] for name in names]

    def change(value: bytes) -> bytes:
        for function in functions:
            value = function(value)
        return value

    return change if functions else None


def _json_string(value: bytes) -> bytes:
    """Write text as JSON.stringify does, quotes included."""
    try:
        return json.dumps(value.decode(), ensure_ascii=False).encode()
    except UnicodeDecodeError as error:
        raise FieldMalformed("the body is not UTF-8, and the scheme signs it as a JSON string") from error


def _path_query(received: Received) -> str:
    query = received.request.query
    return f"{received.path}?{query}" if query else received.path


def _form_sorted(received: Received) -> str:
    return "".join(name + value for name, value in sorted(set(received.form_pairs())))


def _form_amp_sorted(received: Received, left_out: str) -> str:
    pairs = sorted((name, value) for name, value in received.form_pairs() if name != left_out)
    if any("&" in name or "=" in name for name, _ in pairs):
        raise FieldMalformed("a name in the form holds & or =, with which it could stand for several fields")
    escape = str.maketrans("&=", "__")
    return "".join(f"&{name}={value.translate(escape)}" for name, value in pairs)


def _header_values(received: Received, field: str) -> str | None:
    names = (received.sig(field) or "").lower().split()
    if len(names) > MAX_LISTED_HEADERS:
        raise SignatureMalformed(f"the signature lists more than {MAX_LISTED_HEADERS} headers")
    values = [(name, received.listed(name)) for name in names]
    if absent := [name for name, value in values if value is None]:
        raise HeaderMissing(f"the header {absent[0]} is missing or empty, and the signature says that it covers it")
    return ".".join(value for _, value in values if value is not None)


_PLAIN: dict[str, Read] = {
    "body": lambda received: received.body,
    "timestamp": lambda received: received.timestamp,
    "id": lambda received: received.id,
    "secret": lambda received: received.secret,
    "method": lambda received: received.request.method.upper(),
    "path": lambda received: received.path,
    "path_query": _path_query,
    "url": lambda received: received.url,
    "url_base": lambda received: received.url.partition("?")[0],
    "form_sorted": _form_sorted,
    "query_sorted": lambda received: urlencode(sorted(received.query_pairs())),
}
_FILTERS: dict[str, Callable[[bytes], bytes]] = {
    "lower": bytes.lower,
    "upper": bytes.upper,
    "sha256_hex": lambda value: hashlib.sha256(value).hexdigest().encode(),
    "sha256_raw": lambda value: hashlib.sha256(value).digest(),
    "md5_base64": lambda value: base64.b64encode(hashlib.md5(value, usedforsecurity=False).digest()),
    "base64": base64.b64encode,
    "json_string": _json_string,
}
