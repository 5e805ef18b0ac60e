"""Find the value that JSON in UTF-8 cannot hold, and say where it is. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from enum import Enum
from typing import Any
from uuid import UUID

# orjson nests 254 levels, of which the event itself is one: https://github.com/ijl/orjson#serialize
MAX_DEPTH = 253
MAX_PATH = 120
HALF_A_CHARACTER = "half of a surrogate pair, which UTF-8 cannot hold"


def has_infinity(value: Any) -> bool:
    """Tell whether a NaN or an infinity is anywhere in `value`, which must hold no cycle."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        kind = type(item)
        if kind is dict:
            waiting.extend(item.values())
        elif kind is list or kind is tuple:
            waiting.extend(item)
        elif kind is float and not math.isfinite(item):
            return True
    return False


def find(value: Any, path: str) -> str:
    """Return the first fault below `path`, such as "data.items[3].when is of type datetime"; empty without one."""
    waiting = [(path, value, 1)]
    while waiting:
        place, item, level = waiting.pop()
        children = list(_children(item))
        if children and level > MAX_DEPTH:
            return f"{path} holds itself or nests deeper than {MAX_DEPTH} levels"
        if fault := _fault(item):
            return f"{place if len(place) <= MAX_PATH else place[:MAX_PATH] + '…'} {fault}"
        waiting.extend((place + step, child, level + 1) for step, child in reversed(children))
    return ""


def _children(item: Any) -> Iterable[tuple[str, Any]]:
    match item:
        case dict():
            return ((f".{key}" if str(key).isidentifier() else f"[{key!r}]", child) for key, child in item.items())
        case list() | tuple():
            return ((f"[{index}]", child) for index, child in enumerate(item))
    return ()


def _fault(item: Any) -> str:
    """Say what is wrong with one value, leaving its children aside; empty when nothing is."""
    kind = type(item)
    if kind is dict:
        return next(filter(None, map(_key_fault, item)), "")
    if kind is str:
        return "" if _is_utf8(item) else f"holds {HALF_A_CHARACTER}"
    if kind is float:
        return "" if math.isfinite(item) else "is NaN or infinite"
    fits = kind in (list, tuple, int, bool, type(None), UUID) or isinstance(item, Enum)
    return "" if fits else f"is of type {kind.__name__}"


def _key_fault(key: Any) -> str:
    if type(key) is not str:
        return f"has a key of type {type(key).__name__}"
    return "" if _is_utf8(key) else f"has a key with {HALF_A_CHARACTER}"


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
