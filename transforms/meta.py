"""Meta's changes become <prefix>/<object>.<field> and messages <object>.<kind>: meta/page.feed, meta/page.message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway import Delivery, Event, Skip, get, split

LISTS = ("changes", "messaging", "standby")
NO_KIND = {"object", "entry", "sender", "recipient", "timestamp", "field", "value"}


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per change or message, with the object and the entry it is of."""
    payload = delivery.json()
    entries = get(payload, "/entry")
    return split(
        delivery,
        list(_items(payload, entries)) if isinstance(entries, list) else "",
        item_id=_id,
        item_type=_type,
        item_time=("/timestamp", "/entry/time"),
    )


def _items(payload: Any, entries: list[Any]) -> Iterator[Any]:
    for entry in entries:
        lists = [listed for name in LISTS if isinstance(listed := get(entry, f"/{name}"), list)]
        rest = {key: value for key, value in entry.items() if key not in LISTS} if lists else entry
        around = {"object": get(payload, "/object"), "entry": rest}
        if not lists:
            yield around
        for item in (item for listed in lists for item in listed):
            yield {**around, **item} if isinstance(item, dict) else item


def _id(item: dict[str, Any]) -> Any:
    """Return a message's id; anything else is told from others by the whole of it, which holds the entry's time."""
    return get(item, "/message/mid", item)


def _type(item: dict[str, Any]) -> str:
    """Name a change by its field and a message by what it holds: message, postback, read, reaction, ..."""
    kind = get(item, "/field", next((key for key in item if key not in NO_KIND), ""))
    return f"{get(item, '/object', '')}.{kind}".strip(".")
