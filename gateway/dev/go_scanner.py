"""Find where a JSON value ends, or say what is wrong with it in the words of Go's scanner. Pure.

The decoder of the standard library is fast and refuses the same documents with other sentences, so this is asked only
when it has failed, and about values that cannot be events.
"""

from __future__ import annotations

import re
from typing import NoReturn

MAX_DEPTH = 10_000

_SPACE = re.compile(r"[ \t\r\n]*+")
_STRING_START = re.compile(r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+')
_HEX_DIGITS = re.compile("[0-9a-fA-F]*+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*+)(\.[0-9]++)?([eE][+-]?[0-9]++)?")
_LITERALS = {"t": "true", "f": "false", "n": "null"}
_ESCAPES = {7: r"\a", 8: r"\b", 9: r"\t", 10: r"\n", 11: r"\v", 12: r"\f", 13: r"\r", 39: r"\'", 92: r"\\"}
_MOVES = {
    ("value", "{"): "first key",
    ("value", "["): "first value",
    ("first value", "{"): "first key",
    ("first value", "["): "first value",
    ("first value", "]"): "end",
    ("first key", "}"): "end",
    ("colon", ":"): "value",
    ("end [", ","): "value",
    ("end [", "]"): "end",
    ("end {", ","): "key",
    ("end {", "}"): "end",
}
_EXPECTED = {
    "value": "looking for beginning of value",
    "first value": "looking for beginning of value",
    "key": "looking for beginning of object key string",
    "first key": "looking for beginning of object key string",
    "colon": "after object key",
    "end {": "after object key:value pair",
    "end [": "after array element",
}


class JsonError(ValueError):
    """The text is not JSON; the message is Go's."""


class TruncatedError(JsonError):
    """The text ends inside a value; inside a token, Go complains of the space it imagines there."""

    def __init__(self, where: str = "") -> None:
        super().__init__(f"invalid character ' ' {where}" if where else "unexpected end of JSON input")


def skip_space(text: str, at: int) -> int:
    """Return the position of the first character at or after `at` that is not JSON white space."""
    match = _SPACE.match(text, at)
    return match.end() if match else at


def scan(text: str, at: int) -> int:
    """Return where the value that begins at or after `at` ends. Raises JsonError at its first fault."""
    opened: list[str] = []
    state = "value"
    while True:
        at = skip_space(text, at)
        char = text[at : at + 1]
        if not char:
            raise TruncatedError
        if move := _MOVES.get((state, char)):
            at, state = at + 1, move
            _nest(opened, char)
        elif state in ("value", "first value"):
            at, state = _scan_scalar(text, at), "end"
        elif state in ("key", "first key") and char == '"':
            at, state = _scan_string(text, at), "colon"
        else:
            _refuse(text, at, _EXPECTED[state])
        if state == "end" and not opened:
            return at
        if state == "end":
            state = f"end {opened[-1]}"


def refuse_rest(text: str, at: int) -> None:
    """Raise JsonError when anything but white space follows a document that ended at `at`."""
    at = skip_space(text, at)
    if at < len(text):
        _refuse(text, at, "after top-level value")


def _nest(opened: list[str], char: str) -> None:
    if char in "{[":
        opened.append(char)
        if len(opened) > MAX_DEPTH:
            raise JsonError("exceeded max depth")
    elif char in "}]":
        opened.pop()


def _scan_scalar(text: str, at: int) -> int:
    char = text[at]
    if char == '"':
        return _scan_string(text, at)
    if char in _LITERALS:
        return _scan_literal(text, at, _LITERALS[char])
    if char not in "-0123456789":
        _refuse(text, at, _EXPECTED["value"])
    return _scan_number(text, at)


def _scan_literal(text: str, at: int, word: str) -> int:
    for offset, expected in enumerate(word):
        if text[at + offset : at + offset + 1] != expected:
            _refuse(text, at + offset, f"in literal {word} (expecting '{expected}')")
    return at + len(word)


def _scan_number(text: str, at: int) -> int:
    match = _NUMBER.match(text, at)
    if match is None:
        _refuse(text, at + 1, "in numeric literal")
    end = match.end()
    follows = text[end : end + 1]
    if follows == "." and not match[1] and not match[2]:
        _refuse(text, end + 1, "after decimal point in numeric literal")
    if follows in ("e", "E") and not match[2]:
        signed = text[end + 1 : end + 2] in ("+", "-")
        _refuse(text, end + 2 if signed else end + 1, "in exponent of numeric literal")
    return end


def _scan_string(text: str, at: int) -> int:
    match = _STRING_START.match(text, at)
    end = match.end() if match else at
    if end == len(text):
        raise TruncatedError
    if text[end] == "\\":
        _refuse_escape(text, end + 1)
    if text[end] != '"':
        _refuse(text, end, "in string literal")
    return end + 1


def _refuse_escape(text: str, at: int) -> NoReturn:
    if text[at : at + 1] != "u":
        _refuse(text, at, "in string escape code")
    digits = _HEX_DIGITS.match(text, at + 1)
    _refuse(text, digits.end() if digits else at, r"in \u hexadecimal character escape")


def _refuse(text: str, at: int, where: str) -> NoReturn:
    if at >= len(text):
        raise TruncatedError(where)
    raise JsonError(f"invalid character {_quote(text[at])} {where}")


def _quote(char: str) -> str:
    """Quote the character's first byte, which is all that Go's scanner looks at."""
    byte = char.encode(errors="surrogateescape")[0]
    if byte in _ESCAPES:
        return f"'{_ESCAPES[byte]}'"
    if chr(byte).isprintable():
        return f"'{chr(byte)}'"
    return f"'\\x{byte:02x}'" if char.isascii() else f"'\\u{byte:04x}'"
