"""Read a parsed TOML table into a dataclass by its type hints, refusing what does not fit in a sentence. Pure.

A list becomes a tuple, and so does a single text where a tuple of texts is asked for; a table becomes a dataclass or a
mapping.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")

_KINDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


def read(cls: type[T], table: Mapping[str, Any], at: str = "") -> T:
    """Make a `cls` of the table at a key. Raises ValueError with a sentence that begins with the key."""
    kind: Any = cls
    known = _keys(kind)
    values = {}
    for key, value in table.items():
        where = f"{at}.{key}" if at else key
        if key not in known:
            raise ValueError(f"{where}: is not a known key; {_suggest(key, known)}")
        values[key] = _value(known[key], value, where)
    for key in _required(kind) - values.keys():
        raise ValueError(f"{at}.{key}: is missing; add it" if at else f"{key}: is missing; add it")
    try:
        return cls(**values)
    except ValueError as error:
        raise ValueError(f"{at}: {error}" if at else str(error)) from error


@cache
def _keys(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in fields(cls) if field.init}


@cache
def _required(cls: Any) -> frozenset[str]:
    optional = {f.name for f in fields(cls) if f.default is not MISSING or f.default_factory is not MISSING}
    return frozenset(_keys(cls)) - optional


def _value(hint: Any, value: Any, at: str) -> Any:
    """Return the value as the hint asks for it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        return _value(next(argument for argument in arguments if argument is not type(None)), value, at)
    if origin is Literal:
        if value not in arguments:
            raise ValueError(f"{at}: is not one of {', '.join(repr(argument) for argument in arguments)}")
        return value
    if origin is tuple:
        items = [value] if arguments[0] is str and isinstance(value, str) else value
        _require(list, items, at, "a list")
        return tuple(_value(arguments[0], item, f"{at}[{index}]") for index, item in enumerate(items))
    if origin is Mapping:
        _require(dict, value, at, "a table")
        return {key: _value(arguments[1], item, f"{at}.{key}") for key, item in value.items()}
    if is_dataclass(hint):
        _require(dict, value, at, "a table")
        return read(hint, value, at)  # type: ignore[arg-type]
    return _scalar(hint, value, at)


def _scalar(hint: Any, value: Any, at: str) -> Any:
    if hint is Any:
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ValueError(f"{at}: is not {_KINDS[hint]}")
    return value


def _require(kind: type, value: Any, at: str, words: str) -> None:
    if not isinstance(value, kind):
        raise ValueError(f"{at}: is not {words}")  # noqa: TRY004 - a fault of the file, not of the caller


def _suggest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {close[0]}?" if close else f"use one of {', '.join(known)}"
