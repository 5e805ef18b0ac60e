"""WhatsApp messages become <prefix>/message.received, statuses message.delivered and so on, other changes <field>."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateway import Delivery, Event, Skip, get, split

LISTS = ("messages", "statuses")
MESSAGE, STATUS = "/value/messages/0", "/value/statuses/0"


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per message or status: the change it came in, with that one alone, and the entry it is of."""
    entries = get(delivery.json(), "/entry")
    return split(
        delivery,
        [item for entry in entries for item in _items(entry)] if isinstance(entries, list) else "",
        item_id=_id,
        item_type=_type,
        item_time=(f"{MESSAGE}/timestamp", f"{STATUS}/timestamp", "/entry/time"),
    )


def _items(entry: Any) -> Iterator[Any]:
    changes = get(entry, "/changes")
    if not isinstance(changes, list):
        yield entry
        return
    rest = {key: value for key, value in entry.items() if key != "changes"}
    for change in changes:
        around = {"entry": rest, **change} if isinstance(change, dict) else change
        told = [(name, item) for name in LISTS for item in _list(change, f"/value/{name}")]
        if not told:
            yield around
        for name, item in told:
            value = {key: kept for key, kept in change["value"].items() if key not in LISTS}
            yield {**around, "value": {**value, name: [item]}}


def _list(change: Any, pointer: str) -> list[Any]:
    found = get(change, pointer)
    return found if isinstance(found, list) else []


def _id(item: dict[str, Any]) -> Any:
    """Return the id of the message, which its statuses share; what has none is told by the whole of it."""
    return get(item, f"{MESSAGE}/id", get(item, f"{STATUS}/id", item))


def _type(item: dict[str, Any]) -> str:
    if get(item, MESSAGE) is not None:
        return "message.received"
    status = get(item, f"{STATUS}/status")
    return f"message.{status}" if status else str(get(item, "/field", ""))
