"""An inbox query as JSON or as URL parameters, checked strictly, and back. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from gateway.admin.refusals import AdminRequestInvalid
from gateway.feed import OUTCOMES, Wanted
from gateway.history import Query
from gateway.model import State

PAGE = 50
MOST_PER_PAGE = 1_000
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
    return Query(**_fields(document), state=_state(document.get("state")), limit=limit)


def from_parameters(parameters: Iterable[tuple[str, str]]) -> Query:
    """Return the query of URL parameters. Raises AdminRequestInvalid as `parse` does, also for one given twice."""
    return parse(_document(parameters, NUMBERS))


def search(parameters: Iterable[tuple[str, str]]) -> Query:
    """Return the query of a search, in any state, from URL parameters. Raises AdminRequestInvalid."""
    document = _document(parameters, (*NUMBERS, "limit"))
    require_keys(document, (*KEYS, "limit", "before"), "the query")
    state = document.get("state")
    if state is not None and state not in tuple(State):
        raise AdminRequestInvalid(f"state is not one of {', '.join(State)}")
    fields = _fields(document)
    limit = number("limit", document.get("limit", PAGE), least=1, most=MOST_PER_PAGE)
    before = cursor(document["before"]) if "before" in document else None
    return Query(**fields, state=State(state) if state else None, limit=limit, before=before)


def wanted(parameters: Iterable[tuple[str, str]]) -> Wanted:
    """Return what a follower wants, from URL parameters; `outcome` may be given several times.

    Raises AdminRequestInvalid.
    """
    given = list(parameters)
    outcomes = frozenset(value for key, value in given if key == "outcome")
    document = _document(((key, value) for key, value in given if key != "outcome"), ())
    require_keys(document, ("source", "type", "outcome"), "the query")
    if unknown := sorted(outcomes - set(OUTCOMES)):
        raise AdminRequestInvalid(f"outcome {unknown[0]!r} is not one of {', '.join(OUTCOMES)}")
    fields = {key: _text(key, document[key]) for key in ("source", "type") if key in document}
    return Wanted(**fields, outcomes=outcomes)


def cursor(text: str) -> tuple[int, int]:
    """Return the time of receipt and the key that a page's `next` writes. Raises AdminRequestInvalid."""
    received_at, _, key = text.partition(".")
    if not all(part.isascii() and part.isdigit() and int(part) <= MOST for part in (received_at[:20], key[:20])):
        raise AdminRequestInvalid("before is not what a page told as its next")
    return int(received_at[:20]), int(key[:20])


def to_parameters(query: Query) -> dict[str, str]:
    """Return the URL parameters that `search` reads as this query."""
    parameters = {key: str(value) for key, value in to_document(query).items()}
    parameters["limit"] = str(query.limit)
    if query.before:
        parameters["before"] = f"{query.before[0]}.{query.before[1]}"
    return parameters


def to_document(query: Query) -> dict[str, Any]:
    """Return the JSON object that `parse` reads as this query, without its limit."""
    return {key: value for key in KEYS if (value := getattr(query, key)) not in ("", None, 0)}


def require_keys(document: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise AdminRequestInvalid when an object has a key that means nothing there."""
    if unknown := sorted(document.keys() - set(known)):
        names = ", ".join(known) or "none"
        raise AdminRequestInvalid(f"{where} has the unknown key {unknown[0]!r}; known are {names}")


def number(key: str, value: Any, *, least: int = 0, most: int = MOST) -> int:
    """Return an integer within its bounds. Raises AdminRequestInvalid."""
    if type(value) is not int or not least <= value <= most:
        raise AdminRequestInvalid(f"{key} is not an integer from {least} to {most}")
    return value


def _document(parameters: Iterable[tuple[str, str]], numbers: Iterable[str]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in parameters:
        if key in document:
            raise AdminRequestInvalid(f"{key} is given twice; give it once")
        is_number = key in numbers and value.isascii() and value.isdigit()
        document[key] = int(value) if is_number and len(value) <= len(str(MOST)) else value
    return document


def _fields(document: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {key: _text(key, document[key]) for key in TEXTS if key in document}
    return fields | {key: number(key, document[key]) for key in NUMBERS if key in document}


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
