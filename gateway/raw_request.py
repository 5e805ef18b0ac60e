"""A recorded request in a file: HTTP as it was sent, or a JSON document. Pure."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any
from urllib.parse import urlsplit

from gateway.errors import InvalidPayload
from gateway.model import Request

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_REQUEST_LINE = re.compile(r"([A-Z]{1,16}) (\S+)(?: HTTP/\d(?:\.\d)?)?")
_SHAPE = "a request line, headers, an empty line and the body, or JSON with headers and body or body_base64"


def loads(content: bytes, *, path: str, url: str, now: int) -> Request:
    """Return the request that a file holds; `path`, `url` and `now` (unix ms) are for what it does not tell.

    `url` is the public URL without a path, or empty. Raises InvalidPayload with a sentence.
    """
    document = _document(content)
    if document is not None:
        return _from_document(document, path=path, url=url, now=now)
    return _from_http(content, url=url, now=now)


def _document(content: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or "headers" not in document:
        raise InvalidPayload(f"this is JSON without headers; a request is {_SHAPE}")
    return document


def _from_document(document: dict[str, Any], *, path: str, url: str, now: int) -> Request:
    given = document["headers"]
    pairs = list(given.items()) if isinstance(given, dict) else given
    if not isinstance(pairs, list) or not all(_is_header(pair) for pair in pairs):
        raise InvalidPayload("headers is neither a table of texts nor a list of [name, value] pairs")
    received_at = document.get("received_at", now)
    place = str(document.get("path") or path)
    query = str(document.get("query") or "")
    return Request(
        method=str(document.get("method") or "POST").upper(),
        path=place,
        query=query,
        headers=tuple((name.lower(), value) for name, value in pairs),
        body=_body(document),
        received_at=received_at if type(received_at) is int else now,
        url=_join(url, place, query),
    )


def _is_header(pair: Any) -> bool:
    size = len(pair) if isinstance(pair, list | tuple) else 0
    return size == 2 and all(isinstance(text, str) for text in pair)  # noqa: PLR2004 - a pair


def _body(document: dict[str, Any]) -> bytes:
    text, encoded = document.get("body"), document.get("body_base64")
    try:
        if isinstance(encoded, str):
            return base64.b64decode(encoded, validate=True)
        if isinstance(text, str):
            return text.encode()
    except (binascii.Error, ValueError) as error:
        raise InvalidPayload("the body cannot be decoded; give the exact bytes as body_base64") from error
    raise InvalidPayload("there is no body; give the exact bytes as the text body, or as body_base64")


def _from_http(content: bytes, *, url: str, now: int) -> Request:
    end = _HEAD_END.search(content)
    if end is None:
        raise InvalidPayload(f"no empty line ends the headers; a request is {_SHAPE}")
    first, *lines = content[: end.start()].decode("latin-1").splitlines() or [""]
    line = _REQUEST_LINE.fullmatch(first.strip())
    if line is None:
        raise InvalidPayload(f"the first line is not such as POST /webhooks/acme HTTP/1.1; a request is {_SHAPE}")
    headers = tuple((name.strip().lower(), value.strip()) for name, _, value in (text.partition(":") for text in lines))
    target = urlsplit(line[2])
    body = _of_length(content[end.end() :], [value for name, value in headers if name == "content-length"])
    return Request(
        method=line[1],
        path=target.path,
        query=target.query,
        headers=headers,
        body=body,
        received_at=now,
        url=_join(url, target.path, target.query),
    )


def _of_length(rest: bytes, lengths: list[str]) -> bytes:
    """Return the body without what an editor added after it."""
    length = int(lengths[0]) if lengths and lengths[0].isascii() and lengths[0].isdecimal() else len(rest)
    if len(rest) < length:
        raise InvalidPayload(f"the body has {len(rest)} bytes and Content-Length says {length}; record it whole")
    return rest[:length]


def _join(url: str, path: str, query: str) -> str:
    return f"{url}{path}{'?' + query if query else ''}" if url else ""
