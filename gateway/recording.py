"""A delivery as a JSON document, to keep, to look at and to try transforms on. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from gateway.errors import InvalidPayload
from gateway.model import Delivery

_REQUIRED: dict[str, type] = {"source": str, "provider": str, "id": str, "type": str, "received_at": int}
_OPTIONAL: dict[str, type] = {
    "time": int,
    "version": str,
    "headers": dict,
    "query": str,
    "secret": str,
    "traceparent": str,
}
_BYTES = ("body", "content")


def dumps(delivery: Delivery) -> bytes:
    """Return the document, indented, its keys always in the same order, what is absent left out.

    `body` is the exact bytes as text, or `body_base64` where they are not UTF-8; `content` likewise, only where it
    differs from the body.
    """
    document = {key: getattr(delivery, key) for key in _REQUIRED}
    document |= {key: value for key in _OPTIONAL if (value := getattr(delivery, key)) not in (None, "", {})}
    if "headers" in document:
        document["headers"] = dict(delivery.headers)
    document |= _written("body", delivery.body)
    if delivery.content != delivery.body:
        document |= _written("content", delivery.content)
    text = json.dumps(document, indent=2, ensure_ascii=False)
    # A header that is not UTF-8 is kept as lone surrogates; written with a backslash they are JSON's own escapes.
    return text.encode(errors="backslashreplace") + b"\n"


def loads(recorded: bytes) -> Delivery:
    """Return the delivery of a document. Raises InvalidPayload with a sentence that names the key at fault."""
    try:
        document = json.loads(recorded)
    except (ValueError, RecursionError) as error:
        raise InvalidPayload("the recording is not JSON in UTF-8") from error
    if not isinstance(document, dict):
        raise InvalidPayload("the recording is not a JSON object")
    _check_keys(document)
    fields = {key: _typed(document, key, kind) for key, kind in (_REQUIRED | _OPTIONAL).items() if key in document}
    if not all(isinstance(value, str) for value in fields.get("headers", {}).values()):
        raise InvalidPayload("the recording's headers are not all text")
    body = _read(document, "body")
    if body is None:
        raise InvalidPayload("the recording has no body; give body as text or body_base64")
    content = _read(document, "content")
    return Delivery(**fields, body=body, content=body if content is None else content)


def _written(key: str, value: bytes) -> dict[str, str]:
    try:
        return {key: value.decode()}
    except UnicodeDecodeError:
        return {f"{key}_base64": base64.b64encode(value).decode()}


def _check_keys(document: dict[str, Any]) -> None:
    known = {*_REQUIRED, *_OPTIONAL, *_BYTES, *(f"{key}_base64" for key in _BYTES)}
    if unknown := sorted(document.keys() - known):
        raise InvalidPayload(f"the recording has the unknown key {unknown[0]!r}; known are {', '.join(sorted(known))}")
    if missing := [key for key in _REQUIRED if key not in document]:
        raise InvalidPayload(f"the recording lacks {', '.join(missing)}")


def _typed(document: dict[str, Any], key: str, kind: type) -> Any:
    value = document[key]
    if type(value) is not kind:
        raise InvalidPayload(f"the recording's {key} is of type {type(value).__name__}, not {kind.__name__}")
    return value


def _read(document: dict[str, Any], key: str) -> bytes | None:
    """Return the bytes written as text or in base64, or None where there are none."""
    encoded = f"{key}_base64"
    if key in document and encoded in document:
        raise InvalidPayload(f"the recording has both {key} and {encoded}; give one")
    try:
        if encoded in document:
            return base64.b64decode(_typed(document, encoded, str), validate=True)
        return str(_typed(document, key, str)).encode() if key in document else None
    except (binascii.Error, UnicodeError, ValueError) as error:
        raise InvalidPayload(f"the recording's {encoded if encoded in document else key} cannot be decoded") from error
