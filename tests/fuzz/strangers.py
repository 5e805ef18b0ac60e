"""Requests of those who know a source's scheme and its handshakes, and no secret."""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.parse import urlencode

from gateway.handshakes import Handshake
from gateway.locators import pointer_tokens
from gateway.model import Request
from tests.fuzz import garbage
from tests.fuzz.mutations import METHODS, with_query
from tests.fuzz.targets import Target

TOKENS = ("abc123", "0123456789abcdef0123", "a" * 128, "a" * 129, '{"id":1}', "a b", "<x>", "é", "", "{body}", "t=1.x")


def stranger(rng: random.Random, target: Target, genuine: Request) -> Request:
    """Return a request that is like a delivery, or like one of the source's handshakes."""
    if target.source.handshakes and rng.random() < 0.5:
        return _handshake(rng, rng.choice(target.source.handshakes), genuine)
    carriers = [*target.scheme.headers, *(name for name, _ in genuine.headers), "content-encoding"]
    headers = [(rng.choice(carriers), garbage.value(rng)) for _ in range(rng.randrange(6))]
    headers.append(("content-type", rng.choice(garbage.MEDIA_TYPES)))
    method = "POST" if rng.random() < 0.8 else rng.choice(METHODS)
    made = Request(method, genuine.path, "", tuple(headers), garbage.body(rng), genuine.received_at, genuine.url)
    return with_query(made, garbage.query(rng))


def _handshake(rng: random.Random, wanted: Handshake, genuine: Request) -> Request:
    """Return what the handshake looks for, or nearly."""
    token = rng.choice((*TOKENS, *TOKENS[:3] * 4, garbage.text(rng)))
    places = {where: literal or token for where, literal in wanted.when.items()}
    if wanted.token:
        places[wanted.token] = token
    headers: list[tuple[str, str]] = []
    fields: dict[str, dict[str, str]] = {"query": {}, "form": {}}
    document: Any = {}
    for where, value in places.items():
        kind, _, name = where.partition(":")
        if kind == "header":
            headers.append((name.lower(), value))
        elif kind == "json":
            document = _put(document, pointer_tokens(name), int(value) if value.isdecimal() else value)
        else:
            fields.setdefault(kind, {})[name] = value
    form = urlencode(fields["form"], errors="replace").encode()
    body = b"" if wanted.empty_body else form or (json.dumps(document).encode() if document else b"")
    headers.append(("content-type", "application/x-www-form-urlencoded" if form else "application/json"))
    body = garbage.body(rng) if rng.random() < 0.1 else body
    made = Request(wanted.method, genuine.path, "", tuple(headers), body, genuine.received_at, genuine.url)
    return with_query(made, urlencode(fields["query"], errors="replace"))


def _put(document: Any, tokens: list[str], value: Any) -> Any:
    if not tokens:
        return value
    table = dict(document) if isinstance(document, dict) else {}
    return {**table, tokens[0]: _put(table.get(tokens[0]), tokens[1:], value)}
