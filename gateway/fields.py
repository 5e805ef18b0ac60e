"""The fields of a payload by path: read one, keep some, mask some. Pure; what is given is never changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.locators import follow, pointer_tokens
from gateway.model import JsonObject

MASK = "***"

_ABSENT = object()

_Tree = dict[str, "_Tree"]


def get(payload: Any, path: str, default: Any = None) -> Any:
    """Return what is at a path of a parsed payload, or the default where there is nothing, or null.

    A path is names joined by dots, such as "data.items.0.id", or a JSON pointer, such as "/data/items/0/id", which can
    also name what has a dot in its name. Items of a list are named by their index; "" is the whole payload.
    """
    found = follow(payload, _steps(path))
    return default if found is None else found


def pick(payload: Mapping[str, Any], *paths: str) -> JsonObject:
    """Return an object with the fields at these paths alone, in their places; those that are absent are left out.

    A path goes through every item of a list: "items.price" keeps the price of each.
    """
    tree: _Tree = {}
    for path in paths:
        branch = tree
        for step in _steps(path):
            branch = branch.setdefault(step, {})
    return _picked(payload, tree)


def mask(payload: Mapping[str, Any], *paths: str, replacement: Any = MASK) -> JsonObject:
    """Return the payload with the values of these fields replaced, where they are there and not null.

    A name alone, such as "email", is masked wherever it stands; a path such as "customer.email" or "/email" from the
    top. It goes through every item of a list, or through one named by its index.
    """
    names = {path for path in paths if _is_name(path)}
    masked = {key: _masked_names(value, key, names, replacement) for key, value in payload.items()}
    for path in paths:
        if not _is_name(path):
            _mask_at(masked, _steps(path), replacement)
    return masked


def _steps(path: str) -> Sequence[str]:
    if path.startswith("/") or not path:
        return pointer_tokens(path)
    return path.split(".")


def _is_name(path: str) -> bool:
    return "." not in path and not path.startswith("/")


def _picked(value: Mapping[str, Any], tree: _Tree) -> JsonObject:
    kept = {key: _below(value[key], below) for key, below in tree.items() if key in value}
    return {key: found for key, found in kept.items() if found is not _ABSENT}


def _below(value: Any, tree: _Tree) -> Any:
    """Return what the tree keeps of a value; a value that has no fields, but should, is absent."""
    if not tree:
        return value
    match value:
        case dict():
            return _picked(value, tree)
        case list():
            return [found for item in value if (found := _below(item, tree)) is not _ABSENT]
    return _ABSENT


def _masked_names(value: Any, name: str, names: set[str], replacement: Any) -> Any:
    """Return a copy of a value, masked where its own or an inner name is one of these."""
    if name in names:
        return None if value is None else replacement
    match value:
        case dict():
            return {key: _masked_names(item, key, names, replacement) for key, item in value.items()}
        case list():
            return [_masked_names(item, "", names, replacement) for item in value]
    return value


def _mask_at(value: Any, steps: Sequence[str], replacement: Any) -> None:
    """Replace, in place, what is at the end of the steps."""
    step, rest = steps[0], steps[1:]
    match value:
        case dict():
            keys: list[Any] = [step] if step in value else []
        case list() if step.isdecimal() and step.isascii():
            keys = [int(step)] if int(step) < len(value) else []
        case list():
            keys, rest = [*range(len(value))], steps
        case _:
            return
    for key in keys:
        if rest:
            _mask_at(value[key], rest, replacement)
        elif value[key] is not None:
            value[key] = replacement
