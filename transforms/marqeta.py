"""Marqeta's objects become <prefix>/<kind>.<type>: marqeta/transaction.authorization, marqeta/usertransition.active."""

from __future__ import annotations

from typing import Any

from gateway import Delivery, Event, Skip, get, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per object, with its kind; there is a list per kind, and an object comes again in a new state."""
    payload = delivery.json()
    lists = {kind: listed for kind, listed in payload.items() if isinstance(listed, list)} if _is(payload) else {}
    return split(
        delivery,
        [_item(kind, item) for kind, listed in lists.items() for item in listed] if lists else "",
        item_id=("/token", "/state"),
        item_type=_type,
        item_time=("/created_time", "/user_transaction_time"),
    )


def _is(payload: Any) -> bool:
    return isinstance(payload, dict)


def _item(kind: str, item: Any) -> Any:
    return {"kind": kind.removesuffix("s"), **item} if isinstance(item, dict) else item


def _type(item: dict[str, Any]) -> str:
    return f"{get(item, '/kind', '')}.{get(item, '/type', get(item, '/status', ''))}".strip(".").lower()
