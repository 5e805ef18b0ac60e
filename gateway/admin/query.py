"""An inbox query as JSON or as URL parameters, checked strictly, and back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.admin.refusals import AdminRequestInvalid
from gateway.history import Query
from gateway.model import State

TEXTS = ("id", "source", "type", "reason")
NUMBERS = ("since", "until", "after")
SETTLED = (State.DEAD, State.FORWARDED, State.SKIPPED)
KEYS = (*TEXTS, "state", *NUMBERS)
MOST = 2**63 - 1


def parse(document: Mapping[str, Any], *, limit: int = 0) -> Query:
    """Return the query of a JSON object; its state must be one in which entries are settled.

    Raises AdminRequestInvalid with a sentence that names the key at fault.
    """
    require_keys(document, KEYS, "query")
    fields: dict[str, Any] = {key: _text(key, document[key]) for key in TEXTS if key in document}
    fields |= {key: number(key, document[key]) for key in NUMBERS if key in document}
    return Query(**fields, state=_state(document.get("state")), limit=limit)


def from_parameters(parameters: Iterable[tuple[str, str]]) -> Query:
    """Return the query of URL parameters. Raises AdminRequestInvalid as `parse` does, also for one given twice."""
    document: dict[str, Any] = {}
    for key, value in parameters:
        if key in document:
            raise AdminRequestInvalid(f"{key} is given twice; give it once")
        is_number = key in NUMBERS and value.isascii() and value.isdigit()
        document[key] = int(value) if is_number and len(value) <= len(str(MOST)) else value
    return parse(document)


def to_document(query: Query) -> dict[str, Any]:
    """Return the JSON object that `parse` reads as this query, without its limit."""
    return {key: value for key in KEYS if (value := getattr(query, key)) not in ("", None, 0)}


def require_keys(document: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise AdminRequestInvalid when an object has a key that means nothing there."""
    if unknown := sorted(document.keys() - set(known)):
        raise AdminRequestInvalid(f"{where} has the unknown key {unknown[0]!r}; known are {', '.join(known)}")


def number(key: str, value: Any, *, least: int = 0, most: int = MOST) -> int:
    """Return an integer within its bounds. Raises AdminRequestInvalid."""
    if type(value) is not int or not least <= value <= most:
        raise AdminRequestInvalid(f"{key} is not an integer from {least} to {most}")
    return value


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise AdminRequestInvalid(f"{key} is not a text; leave it out, or write one that is not empty")
    if not value.isprintable():
        raise AdminRequestInvalid(f"{key} holds characters that cannot be printed; write it without them")
    return value


def _state(value: Any) -> State:
    if value not in tuple(SETTLED):
        raise AdminRequestInvalid(f"state is not one of {', '.join(SETTLED)}; only such entries can run again")
    return State(value)
