"""X's account activity becomes <prefix>/<kind>: x/tweet_create, x/favorite, x/direct_message."""

from __future__ import annotations

from typing import Any

from gateway import Delivery, Event, Skip, get, split

END = "_events"


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item of the lists whose names say the kind: the payload, with that item alone."""
    payload = delivery.json()
    fields = list(payload.items()) if isinstance(payload, dict) else []
    lists = {key: value for key, value in fields if _is_kind(key, value)}
    around = {key: value for key, value in fields if key not in lists}
    items = [{**around, kind: [item]} for kind, listed in lists.items() for item in listed]
    return split(delivery, items if lists else "", item_id=_id, item_type=_type, item_time=_time)


def _is_kind(key: str, value: Any) -> bool:
    return key.endswith(END) and isinstance(value, list)


def _only(item: dict[str, Any]) -> tuple[str, Any]:
    """Return the kind of a payload with one item, and that item."""
    return next(((key, value[0]) for key, value in item.items() if _is_kind(key, value) and value), ("", None))


def _type(item: dict[str, Any]) -> str:
    return _only(item)[0].removesuffix(END)


def _id(item: dict[str, Any]) -> Any:
    """Return the id of the post or the message; what has none is told by the whole of it, which holds a time."""
    fact = _only(item)[1]
    return get(fact, "/id_str", get(fact, "/id", item))


def _time(item: dict[str, Any]) -> Any:
    fact = _only(item)[1]
    return get(fact, "/timestamp_ms", get(fact, "/created_timestamp"))
