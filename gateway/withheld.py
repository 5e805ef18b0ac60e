"""Leave what a delivery holds out of a sentence about it: exceptions quote the values that they failed on. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway.errors import InvalidPayload
from gateway.model import Delivery

LEAST_CHARACTERS = 4
# So much of the beginning of a longer value is recognised too, as sentences are cut.
BEGINNING = 12
WITHHELD = "…"


def withhold(sentence: str, delivery: Delivery) -> str:
    """Return the sentence without values of the delivery's payload, of four characters and more; keys stay.

    What the gateway shows of a delivery anyway stays as well: its source, id and type.
    """
    shown = (delivery.source, delivery.id, delivery.type)
    values = {form for value in _values(_payload(delivery)) for form in _forms(value) if form[:BEGINNING] in sentence}
    for value in sorted(values, key=len, reverse=True):
        if not any(value in text for text in shown):
            sentence = _without(sentence, value)
    return sentence


def _forms(value: str) -> Iterator[str]:
    """Give the ways in which a sentence may hold a value: as it is, as Python writes it, and on one line."""
    if len(value) >= LEAST_CHARACTERS:
        yield value
        if not value.isalnum():
            yield repr(value)[1:-1]
            yield " ".join(value.split())


def _without(sentence: str, value: str) -> str:
    sentence = sentence.replace(value, WITHHELD)
    if len(value) > BEGINNING and (start := sentence.find(value[:BEGINNING])) >= 0:
        same = next((n for n, (a, b) in enumerate(zip(sentence[start:], value, strict=False)) if a != b), len(value))
        return sentence[:start] + WITHHELD + sentence[start + same :]
    return sentence


def _payload(delivery: Delivery) -> Any:
    try:
        if delivery.media_type == "application/x-www-form-urlencoded":
            return delivery.form()
        return delivery.json()
    except InvalidPayload:
        return delivery.content.decode(errors="replace").split()


def _values(document: Any) -> Iterator[str]:
    """Give the texts and numbers of a document as they are written, without a stack of our own depth."""
    waiting = [document]
    while waiting:
        match waiting.pop():
            case dict() as table:
                waiting.extend(table.values())
            case list() as items:
                waiting.extend(items)
            case str() as text:
                yield text
            case bool() | None:
                pass
            case number:
                yield str(number)
