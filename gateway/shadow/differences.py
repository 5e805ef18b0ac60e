"""Find where two JSON values differ, field by field. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

MAX_TEXT = 200


class _Absent:
    """The type of ABSENT."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where two values differ; `old` or `new` is ABSENT where only the other has the place."""

    path: Path
    old: Any
    new: Any


def differences(old: Any, new: Any) -> Iterator[Difference]:
    """Yield the deepest places that differ, in the order of the old value; the order of an object's keys is none.

    1, 1.0 and true are three values here, as they are in JSON.
    """
    waiting: list[tuple[Path, Any, Any]] = [((), old, new)]
    while waiting:
        path, before, after = waiting.pop()
        if isinstance(before, dict) and isinstance(after, dict):
            keys = [*before, *(key for key in after if key not in before)]
            pairs = [((*path, key), before.get(key, ABSENT), after.get(key, ABSENT)) for key in keys]
            waiting += reversed(pairs)
        elif isinstance(before, list) and isinstance(after, list):
            items = enumerate(zip_longest(before, after, fillvalue=ABSENT))
            waiting += reversed([((*path, index), *pair) for index, pair in items])
        elif type(before) is not type(after) or before != after:
            yield Difference(path, before, after)


def dotted(path: Path, *, indexes: bool) -> str:
    """Write a path as `data.items[3].id`, or as `data.items[].id` for all items alike."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]" if indexes else "[]"
        elif part.replace("_", "").replace("-", "").isalnum():
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text


def shown(value: Any) -> str:
    """Return a value as JSON, cut when it is long."""
    if value is ABSENT:
        return "(absent)"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_TEXT else f"{text[: MAX_TEXT - 1]}…"


def masked(value: Any) -> str:
    """Say what a value is without telling it."""
    match value:
        case _Absent():
            return "(absent)"
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int():
            return "an integer"
        case float():
            return "a number"
        case str():
            return f"a text of {_counted(len(value), 'character')}"
        case list():
            return f"a list of {_counted(len(value), 'item')}"
        case dict():
            return f"an object of {_counted(len(value), 'field')}"
    return type(value).__name__


def _counted(number: int, noun: str) -> str:
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"
