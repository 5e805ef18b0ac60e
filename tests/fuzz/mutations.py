"""Changes to a genuine request: small and large ones, at every place that someone on the way could reach."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from gateway.model import Request
from tests.fuzz import garbage

Mutation = Callable[[random.Random, Request, Request], Request]
"""Return a changed request, given it and another genuine one to the same source."""

METHODS = ("GET", "HEAD", "PUT", "post", "DELETE", "OPTIONS")


def mutate(rng: random.Random, request: Request, other: Request) -> tuple[Request, str]:
    """Return the request after one to three changes, and their names."""
    names = rng.choices(_NAMES, k=rng.choice((1, 1, 1, 2, 3)))
    for name in names:
        request = MUTATIONS[name](rng, request, other)
    return request, "+".join(names)


def _span(rng: random.Random, length: int) -> tuple[int, int]:
    start = rng.randrange(length + 1)
    return start, min(length, start + rng.choice((1, 1, 2, 8, 64)))


def _flip(rng: random.Random, request: Request, _: Request) -> Request:
    if not request.body:
        return request
    at = rng.randrange(len(request.body))
    changed = request.body[at] ^ rng.choice((1, 0x20, 0x80, 0xFF))
    return replace(request, body=request.body[:at] + bytes([changed]) + request.body[at + 1 :])


def _cut(rng: random.Random, request: Request, _: Request) -> Request:
    start, end = _span(rng, len(request.body))
    return replace(request, body=request.body[:start] + request.body[end:])


def _insert(rng: random.Random, request: Request, _: Request) -> Request:
    at = rng.randrange(len(request.body) + 1)
    added = rng.choice((b" ", b"\0", b"\r\n", b"\n", b"&a=1", b'"', b",", b"\xff", b"\xef\xbb\xbf", rng.randbytes(3)))
    at = rng.choice((at, 0, len(request.body)))
    return replace(request, body=request.body[:at] + added + request.body[at:])


def _twice(rng: random.Random, request: Request, _: Request) -> Request:
    start, end = _span(rng, len(request.body))
    return replace(request, body=request.body[:end] + request.body[start:end] + request.body[end:])


def _other_body(_: random.Random, request: Request, other: Request) -> Request:
    return replace(request, body=other.body)


def _garbage_body(rng: random.Random, request: Request, _: Request) -> Request:
    return replace(request, body=garbage.body(rng))


def _respell(rng: random.Random, request: Request, _: Request) -> Request:
    """Write the JSON anew, as a proxy or a framework does that parses it."""
    try:
        document = json.loads(request.body)
    except (ValueError, RecursionError):
        return request
    return replace(request, body=json.dumps(document, indent=rng.choice((None, 2)), sort_keys=True).encode())


def _set(rng: random.Random, request: Request, _: Request) -> Request:
    """Put a strange value somewhere into the document."""
    try:
        document = json.loads(request.body)
    except (ValueError, RecursionError):
        return request
    _put(rng, document)
    return replace(request, body=json.dumps(document).encode("utf-8", "replace"))


def _put(rng: random.Random, document: Any) -> None:
    while isinstance(document, dict | list) and document:
        keys = list(document) if isinstance(document, dict) else range(len(document))
        key = rng.choice(keys)
        if not isinstance(document[key], dict | list) or not document[key] or rng.random() < 0.2:
            document[key] = garbage.document(rng)
            return
        document = document[key]


def _repeat_key(rng: random.Random, request: Request, _: Request) -> Request:
    name = rng.choice((b"id", b"type", b"event", b"created_at"))
    return replace(request, body=request.body.replace(b"{", b'{"%s":"x",' % name, 1))


def _more_fields(rng: random.Random, request: Request, _: Request) -> Request:
    names = [pair.partition(b"=")[0] for pair in request.body.split(b"&")]
    added = b"&%s=%s" % (rng.choice(names)[:200], rng.choice((b"", b"1", b"x%20y", b"%26a%3D1")))
    return replace(request, body=request.body + added * rng.choice((1, 1, 1, 2, 1_000)))


def _move_boundary(rng: random.Random, request: Request, _: Request) -> Request:
    """Move an = or & of a form, so that names and values are split at other places."""
    marks = [at for at, byte in enumerate(request.body) if byte in b"=&"]
    if not marks:
        return request
    at = rng.choice(marks)
    mark, rest = request.body[at : at + 1], request.body[:at] + request.body[at + 1 :]
    to = max(0, at + rng.choice((-2, -1, 1, 2)))
    return replace(request, body=rest[:to] + rng.choice((mark, b"%3D", b"%26")) + rest[to:])


def _escape(rng: random.Random, request: Request, _: Request) -> Request:
    if not request.body:
        return request
    at = rng.randrange(len(request.body))
    return replace(request, body=request.body[:at] + b"%%%02X" % request.body[at] + request.body[at + 1 :])


def _encode(rng: random.Random, request: Request, _: Request) -> Request:
    body = gzip.compress(request.body, 1) if rng.random() < 0.7 else request.body
    return replace(request, body=body, headers=(*request.headers, ("content-encoding", rng.choice(garbage.ENCODINGS))))


def _with_header(request: Request, at: int, value: str) -> Request:
    headers = [*request.headers]
    headers[at] = (headers[at][0], value)
    return replace(request, headers=tuple(headers))


def _change_header(rng: random.Random, request: Request, _: Request) -> Request:
    """Change one character, or a few, of a header's value."""
    if not request.headers:
        return request
    at = rng.randrange(len(request.headers))
    text = request.headers[at][1]
    start, end = _span(rng, len(text))
    added = rng.choice(("", "0", "1", "=", ",", " ", "A", "\0", "é", "\t", text[start:end].swapcase()))
    return _with_header(request, at, text[:start] + added + text[end:])


def _strange_header(rng: random.Random, request: Request, _: Request) -> Request:
    if not request.headers:
        return request
    strange = rng.choice((garbage.value(rng), "a" * rng.choice((4_096, 4_097, 60_000)), "0," * 2_000))
    return _with_header(request, rng.randrange(len(request.headers)), strange)


def _spell_header(rng: random.Random, request: Request, _: Request) -> Request:
    """Write a header's value otherwise: case, blanks, quotes, or as a list with a second value."""
    if not request.headers:
        return request
    at = rng.randrange(len(request.headers))
    text = request.headers[at][1]
    spelled = rng.choice(
        (text.upper(), text.lower(), f" {text}", f"{text} ", f'"{text}"', f"{text},{text}", f"{text}, x", f"x,{text}",
         text.rstrip("="), f"{text}=", text.replace("+", "-").replace("/", "_"), f"{text}\n",
         quote(text, errors="replace"))
    )  # fmt: skip
    return _with_header(request, at, spelled)


def _drop_header(rng: random.Random, request: Request, _: Request) -> Request:
    if not request.headers:
        return request
    at = rng.randrange(len(request.headers))
    return replace(request, headers=request.headers[:at] + request.headers[at + 1 :])


def _repeat_header(rng: random.Random, request: Request, other: Request) -> Request:
    if not request.headers:
        return request
    name, text = rng.choice(request.headers)
    again = rng.choice((text, garbage.value(rng), dict(other.headers).get(name, "")))
    pair = (name, again)
    return replace(request, headers=(pair, *request.headers) if rng.random() < 0.5 else (*request.headers, pair))


def _other_header(rng: random.Random, request: Request, other: Request) -> Request:
    """Take a header from another genuine request, such as its signature, id or time."""
    if not request.headers:
        return request
    at = rng.randrange(len(request.headers))
    return _with_header(request, at, dict(other.headers).get(request.headers[at][0], ""))


def _move(rng: random.Random, request: Request, _: Request) -> Request:
    """Move characters from the edge of one value to that of another, or to the body's."""
    if len(request.headers) < 2:
        return request
    one, two = rng.sample(range(len(request.headers)), 2)
    text, count = request.headers[one][1], rng.choice((1, 1, 2, 3))
    front = rng.random() < 0.5
    moved, kept = (text[:count], text[count:]) if front else (text[-count:], text[:-count])
    request = _with_header(request, one, kept)
    if rng.random() < 0.5:
        added = moved.encode("utf-8", "replace")
        return replace(request, body=request.body + added if front else added + request.body)
    there = request.headers[two][1]
    return _with_header(request, two, there + moved if front else moved + there)


def _move_query(rng: random.Random, request: Request, _: Request) -> Request:
    """Move characters between the end of the URL and the beginning of the body."""
    count = rng.choice((1, 2, 10))
    if rng.random() < 0.5:
        moved = request.query[-count:] if request.query else ""
        return replace(
            with_query(request, request.query[:-count]), body=moved.encode("utf-8", "replace") + request.body
        )
    moved = request.body[:count].decode("utf-8", "replace")
    return replace(with_query(request, request.query + moved), body=request.body[count:])


def _add_header(rng: random.Random, request: Request, _: Request) -> Request:
    name = rng.choice(
        ("content-encoding", "content-type", "authorization", "x-other", "host", "x-forwarded-host", "cookie")
    )
    values: Mapping[str, tuple[str, ...]] = {"content-encoding": garbage.ENCODINGS, "content-type": garbage.MEDIA_TYPES}
    return replace(request, headers=(*request.headers, (name, rng.choice(values.get(name, garbage.TEXTS)))))


def _query(rng: random.Random, request: Request, _: Request) -> Request:
    names = [pair.partition("=")[0] for pair in request.query.split("&")]
    changed = rng.choice(
        (garbage.query(rng), f"{request.query}&{garbage.query(rng)}", f"{request.query}&{rng.choice(names)}=x", "",
         request.query[:-1], f"&{request.query}", "a" * 9_000, "%", "a=%ff", request.query.replace("=", "%3D", 1))
    )  # fmt: skip
    return with_query(request, changed)


def with_query(request: Request, query: str) -> Request:
    """Return the request with another query, in its public URL as well."""
    base = request.url.partition("?")[0]
    return replace(request, query=query, url=f"{base}?{query}" if query else base)


def _path(rng: random.Random, request: Request, _: Request) -> Request:
    added = rng.choice(("/", "%2F", "//", "/../x"))
    base, mark, query = request.url.partition("?")
    return replace(request, path=request.path + added, url=f"{base}{added}{mark}{query}")


def _method(rng: random.Random, request: Request, _: Request) -> Request:
    return replace(request, method=rng.choice(METHODS))


MUTATIONS: Mapping[str, Mutation] = {
    "flip": _flip,
    "cut": _cut,
    "insert": _insert,
    "twice": _twice,
    "other_body": _other_body,
    "garbage_body": _garbage_body,
    "respell": _respell,
    "set": _set,
    "repeat_key": _repeat_key,
    "more_fields": _more_fields,
    "move_boundary": _move_boundary,
    "escape": _escape,
    "encode": _encode,
    "change_header": _change_header,
    "strange_header": _strange_header,
    "spell_header": _spell_header,
    "drop_header": _drop_header,
    "repeat_header": _repeat_header,
    "other_header": _other_header,
    "move": _move,
    "move_query": _move_query,
    "add_header": _add_header,
    "query": _query,
    "path": _path,
    "method": _method,
}
_NAMES = tuple(MUTATIONS)
