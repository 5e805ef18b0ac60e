"""Parse and serialise payloads strictly and exactly. Pure; the only importer of orjson for payloads."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any, NoReturn

import orjson

from gateway import forms
from gateway.errors import InvalidPayload
from gateway.rejections import BodyTooLarge, EncodingInvalid, EncodingUnsupported

SAFE_INTEGER = 2**53

# A search for 16 zeros, once every digit is one, takes a tenth of what a regular expression does.
_TO_ZERO = bytes.maketrans(b"123456789", b"000000000")
# Every fourth byte is looked at first: of 16 digits in a row four of these are digits, one after the other.
_STEP = 4
_SAMPLED = b"0" * 4
# No integer is beyond ±2^53 without 16 digits in a row, and none beyond 64 bits without 19.
_OVER_DOUBLE = b"0" * 16
_OVER_64_BITS = b"0" * 19
# orjson wants a buffer of about twelve times the content, and calls the lack of it an error of the content.
_ORJSON_NO_MEMORY = "Not enough memory"
_STRICT = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS


def loads(content: bytes) -> Any:
    """Parse strict JSON in UTF-8, integers exactly as written.

    orjson turns integers beyond 64 bits into floats, so content with a long run of digits goes to the slower parser.
    Raises InvalidPayload, and MemoryError where there is too little for the value: that is no fault of the content.
    """
    try:
        value = orjson.loads(content)
        if not _has_digits(content, _OVER_64_BITS):
            return value
        return json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        if str(error).startswith(_ORJSON_NO_MEMORY):
            raise MemoryError from error
        raise InvalidPayload("the body is not valid JSON in UTF-8") from error


def dumps(value: Any) -> bytes:
    """Serialise to compact JSON. Raises TypeError for what JSON cannot hold (NaN and infinity become null)."""
    try:
        return orjson.dumps(value, option=_STRICT)
    except TypeError as error:
        if "64-bit" not in str(error):
            raise
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def big_integers(serialised: bytes, value: Any) -> int:
    """Count the integers of `value` beyond ±2^53, which do not survive a reader that uses doubles."""
    return sum(1 for _ in _walk_big(value)) if _has_digits(serialised, _OVER_DOUBLE) else 0


def stringify_big_integers(value: Any) -> Any:
    """Return `value` with every integer beyond ±2^53 written as a string."""
    match value:
        case bool():
            return value
        case int() if abs(value) > SAFE_INTEGER:
            return str(value)
        case dict():
            return {key: stringify_big_integers(item) for key, item in value.items()}
        case list() | tuple():
            return [stringify_big_integers(item) for item in value]
    return value


def text(content: bytes) -> str:
    """Decode UTF-8. Raises InvalidPayload."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidPayload("the body is not UTF-8") from error


def form(content: bytes) -> dict[str, str]:
    """Parse application/x-www-form-urlencoded; the last of a repeated name wins. Raises InvalidPayload."""
    try:
        return dict(forms.pairs(content))
    except ValueError as error:
        raise InvalidPayload(f"the body is not a form: {error}") from error


def decode(body: bytes, encoding: str, limit: int) -> bytes:
    """Undo one Content-Encoding, never producing more than `limit` bytes.

    Raises EncodingUnsupported, EncodingInvalid or BodyTooLarge.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return body
        case "gzip" | "x-gzip":
            wbits = zlib.MAX_WBITS | 16
        case "deflate":
            wbits = zlib.MAX_WBITS
        case _:
            raise EncodingUnsupported(
                "Content-Encoding is none of gzip, deflate, identity; have whoever compresses the body use one of them"
            )
    decoder = zlib.decompressobj(wbits)
    try:
        content = decoder.decompress(body, limit + 1)
    except zlib.error as error:
        raise EncodingInvalid(
            "the body does not decode as its Content-Encoding says; a proxy may have decompressed it"
        ) from error
    if len(content) > limit:
        raise BodyTooLarge(f"the decoded body is over the source's limit of {limit} bytes")
    if not decoder.eof or decoder.unused_data:
        raise EncodingInvalid("the body ends early or has bytes after its compressed data; something cut or padded it")
    return content


def _has_digits(content: bytes, zeros: bytes) -> bool:
    """Tell whether at least as many digits follow each other as there are zeros, of which there are 16 or more."""
    return _SAMPLED in content[::_STEP].translate(_TO_ZERO) and zeros in content.translate(_TO_ZERO)


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError("not JSON")


def _walk_big(value: Any) -> Iterator[int]:
    match value:
        case bool():
            return
        case int() if abs(value) > SAFE_INTEGER:
            yield value
        case dict():
            for item in value.values():
                yield from _walk_big(item)
        case list() | tuple():
            for item in value:
                yield from _walk_big(item)
