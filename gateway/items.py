"""Split a delivery that holds several facts into events whose ids do not depend on how they were batched. Pure."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from gateway import payload
from gateway.errors import InvalidPayload
from gateway.event_fields import EARLIEST, LATEST
from gateway.fields import get
from gateway.locators import to_milliseconds
from gateway.model import Delivery, Event, Skip
from gateway.names import event_name
from gateway.template import require_pointer

Place = str | Sequence[str] | Callable[[dict[str, Any]], Any]
"""Where in an item a value is: a JSON pointer, several of them, or a function of the item, which is an object."""

MAX_ID = 200
EMPTY = Skip("the delivery holds no items; it is a heartbeat or a test")


def split(
    delivery: Delivery,
    items: str | Iterable[Any] = "",
    *,
    item_id: Place = (),
    item_type: Place = (),
    item_time: Place = (),
    envelope: Sequence[str] = (),
    each: Callable[[Any], Any] = lambda item: item,
) -> list[Event] | Skip:
    """Return one event per item: id `<source>:<item id>:<type>`, the item as data, the item's own time.

    `items` is the JSON pointer of the list, "" for the body itself, or the items; a body in JSON Lines is a list, and
    one that has nothing there is the only item. Several pointers of an id or a type are joined by dots, and the first
    of an id must lead somewhere. `item_id=""` is for items that have no id and are the same fact when they are equal:
    the digest of the whole item stands for it. Without `item_type` an event is named by the delivery's type.
    `each` is applied to every item that a pointer found; then `envelope` names fields beside the list that are put into
    every item which has none of that name.

    No item is lost for another's sake. The id of one that has none, or is no object, is the delivery's id and the
    item's digest. Equal items make one event; unequal ones that share an id get their digests after it. An item's time
    after the receipt is the receipt. Raises InvalidPayload where the body is no JSON.
    """
    if isinstance(items, str):
        whole = _parse(delivery)
        fields = {name: whole[name] for name in envelope if isinstance(whole, dict) and name in whole}
        items = [_with(fields, each(item)) for item in _found(whole, items)]
    places = (item_id, item_type or (lambda _: delivery.type), item_time)
    made = [(item, _event(delivery, item, *places)) for item in items]
    return _told_apart(made) or EMPTY


def _parse(delivery: Delivery) -> Any:
    try:
        return delivery.json()
    except InvalidPayload:
        lines = [line for line in delivery.content.split(b"\n") if line.strip()]
        if not lines[1:]:
            raise
        return [payload.loads(line) for line in lines]


def _found(whole: Any, pointer: str) -> list[Any]:
    found = _look_up(whole, pointer, whole)
    if isinstance(found, list):
        return found
    return [found] if found != {} else []


def _look_up(value: Any, pointer: str, default: Any = None) -> Any:
    """Return what a JSON pointer leads to, or the default. Raises ValueError where the text is no pointer."""
    if pointer:
        require_pointer(pointer)
    return get(value, pointer, default)


def _with(fields: dict[str, Any], item: Any) -> Any:
    return {**fields, **item} if fields and isinstance(item, dict) else item


def _data(item: Any) -> dict[str, Any]:
    return item if isinstance(item, dict) else {"body": item}


def _event(delivery: Delivery, item: Any, item_id: Place, item_type: Place, item_time: Place) -> Event:
    name = event_name(*(_text(part) for part in _values(item, item_type)))
    told = next((moment for value in _values(item, item_time) if (moment := to_milliseconds(value)) is not None), None)
    return Event(
        name=name,
        data=_data(item),
        id=f"{delivery.source}:{_id(delivery, item, item_id)}:{name}",
        ts=None if told is None else max(EARLIEST, min(told, delivery.received_at, LATEST)),
    )


def _id(delivery: Delivery, item: Any, place: Place) -> str:
    """Return the item's own id, its digest where that is no text to print, or one of this delivery only."""
    values = _values(item, place)
    if not values or values[0] is None:
        return f"{delivery.id}.{_digest(item)}"
    text = ".".join(_text(value) or _digest(value) for value in values if value is not None)
    return text if text.isprintable() and text.strip() and len(text) <= MAX_ID else _digest(values)


def _values(item: Any, place: Place) -> list[Any]:
    """Return what is at each pointer of the place, None where nothing is; nothing of what is no object."""
    if not isinstance(item, dict):
        return []
    if callable(place):
        return [place(item)]
    return [_look_up(item, pointer) for pointer in ([place] if isinstance(place, str) else place)]


def _text(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            return str(value)
    return ""


def _told_apart(made: Sequence[tuple[Any, Event]]) -> list[Event]:
    """Drop equal items with the same id, and add their digests to the ids of unequal ones."""
    counts = Counter(event.id for _, event in made)
    events: dict[str, Event] = {}
    contents: dict[str | None, set[str]] = defaultdict(set)
    for item, event in made:
        if counts[event.id] > 1:
            contents[event.id].add(_digest(item))
    for item, event in made:
        told = f"{event.id}:{_digest(item)}" if len(contents[event.id]) > 1 else str(event.id)
        events.setdefault(told, replace(event, id=told))
    return list(events.values())


def _digest(value: Any) -> str:
    """Return a digest that does not depend on the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:32]
