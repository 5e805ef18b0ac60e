"""A webhook in the making: values are put where a source looks for them, and in the end it is a request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from gateway.dev.layouts import lay_out
from gateway.locators import follow, pointer_tokens
from gateway.model import Request
from gateway.template import Placeholder


@dataclass(slots=True)
class Draft:
    """What a sender is about to send, unsigned; names of `headers` are lower case.

    `fields` are the items beside the signature in its header, such as Stripe's `t`. `layout` says how the document is
    written.
    """

    type: str
    headers: dict[str, str]
    document: Any
    layout: str
    query: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)

    def holds(self, place: Placeholder) -> bool:
        """Tell whether there is a value at a place already."""
        match place.kind:
            case "json":
                return self.layout != "form" and follow(self.document, pointer_tokens(place.name)) is not None
            case "form":
                return self.layout == "form" and place.name in self.document
        return place.name in self._texts(place.kind)

    def can_hold(self, place: Placeholder) -> bool:
        """Tell whether a value can be at a place: JSON has no form fields, and a form no pointers."""
        return {"json": self.layout != "form", "form": self.layout == "form"}.get(place.kind, True)

    def put(self, place: Placeholder, value: str | int) -> None:
        """Put a value at a place that can hold one; it replaces what is there."""
        match place.kind:
            case "json":
                self.document = put_at(self.document, pointer_tokens(place.name), value)
            case "form":
                self.document[place.name] = str(value)
            case _:
                self._texts(place.kind)[place.name] = str(value)

    def request(self, path: str, url: str, now: int) -> Request:
        """Return the request to a source's path; `url` is the public one, without the query."""
        query = urlencode(self.query)
        url = f"{url}?{query}" if query and url else url
        body = lay_out(self.layout, self.document)
        return Request("POST", path, query, tuple(self.headers.items()), body, now, url)

    def _texts(self, kind: str) -> dict[str, str]:
        return {"header": self.headers, "query": self.query, "sig": self.fields}[kind]


def put_at(document: Any, tokens: list[str], value: Any) -> Any:
    """Return the document with a value at a pointer, made of lists where a token is a number."""
    if not tokens:
        return value
    token, *rest = tokens
    if token.isdecimal() and not isinstance(document, dict):
        items = [*document] if isinstance(document, list) else []
        items += [{}] * (int(token) + 1 - len(items))
        items[int(token)] = put_at(items[int(token)] or None, rest, value)
        return items
    table = dict(document) if isinstance(document, dict) else {}
    table[token] = put_at(table.get(token), rest, value)
    return table
