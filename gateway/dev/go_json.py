"""JSON objects as Go's encoding/json decodes them: the same documents, the same numbers, the same sentences. Pure.

Text given to this module is UTF-8 decoded with `surrogateescape`, so that positions, sizes and the original bytes
survive what is not UTF-8; Go reads each such byte inside a string as U+FFFD and refuses it elsewhere.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

from gateway.dev.go_scanner import JsonError, scan, skip_space
from gateway.payload import SAFE_INTEGER

_EXPONENT_FROM = 1e21
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAYBE_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Member:
    """One `key: value` of an object, in the order written.

    `number` is the value's text where it is a number; `overflow` is the first number in it that no float64 holds.
    """

    key: str
    value: Any
    number: str = ""
    overflow: str = ""


class _Float64:
    """Reads number literals as float64, kept as the int that Go would write where it would write one."""

    def __init__(self) -> None:
        self.overflow = ""

    def __call__(self, literal: str) -> int | float:
        number = float(literal)
        if math.isinf(number):
            self.overflow = self.overflow or literal
            return number
        if not number.is_integer() or abs(number) >= _EXPONENT_FROM:
            return number
        return int(number) if abs(number) < SAFE_INTEGER else int(Decimal(repr(number)))


def members(text: str, at: int) -> tuple[list[Member], int]:
    """Read the object that begins at `at`; return its members, repeated keys included, and where it ends.

    Raises JsonError. Python's decoder gives up near a depth of 1,000 where Go goes on to 10,000; that too is refused
    with Go's sentence for its own limit.
    """
    try:
        return _read_members(text, at)
    except (ValueError, IndexError, RecursionError) as error:
        scan(text, at)
        raise JsonError("exceeded max depth") from error


def kind(value: Any) -> str:
    """Return Go's word for the type of a decoded value."""
    match value:
        case dict():
            return "object"
        case list():
            return "array"
        case str():
            return "string"
        case bool():
            return "bool"
        case None:
            return "null"
    return "number"


def dumps(value: Any) -> bytes:
    """Serialise as Go's encoder does: compact, and safe to embed in HTML."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for char in "<>&\u2028\u2029":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text.encode()


def _read_members(text: str, at: int) -> tuple[list[Member], int]:
    found: list[Member] = []
    at = skip_space(text, at + 1)
    if text[at] == "}":
        return found, at + 1
    while text[at] == '"':
        key, colon = json.JSONDecoder().raw_decode(text, at)
        key = _well_formed(key, text, at, colon)
        colon = skip_space(text, colon)
        if text[colon] != ":":
            break
        member, at = _read_member(key, text, skip_space(text, colon + 1))
        found.append(member)
        at = skip_space(text, at)
        if text[at] == "}":
            return found, at + 1
        if text[at] != ",":
            break
        at = skip_space(text, at + 1)
    raise JsonError("malformed object")


def _read_member(key: str, text: str, at: int) -> tuple[Member, int]:
    number = _Float64()
    decoder = json.JSONDecoder(parse_float=number, parse_int=number, parse_constant=_refuse_constant)
    value, end = decoder.raw_decode(text, at)
    literal = text[at:end] if kind(value) == "number" else ""
    return Member(key, _well_formed(value, text, at, end), literal, number.overflow), end


def _well_formed(value: Any, text: str, start: int, end: int) -> Any:
    """Return the value read from `text` with lone surrogates, and bytes that were not UTF-8, as U+FFFD."""
    if not _MAYBE_SURROGATE.search(text, start, end):
        return value
    return json.loads(_SURROGATE.sub("\ufffd", json.dumps(value, ensure_ascii=False)))


def _refuse_constant(literal: str) -> NoReturn:
    raise JsonError(literal)
