"""Statsig's events become <prefix>/<event name>, changes of a configuration <prefix>/<kind>.<action>."""

from __future__ import annotations

from typing import Any

from gateway import Delivery, Event, Skip, get, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item; changes have no id, so the item stands for it."""
    return split(delivery, "/data", item_id=_id, item_type=_type, item_time="/timestamp")


def _id(item: dict[str, Any]) -> Any:
    return get(item, "/timeUUID", item)


def _type(item: dict[str, Any]) -> str:
    """Name a change of a gate or an experiment by what was done to it, anything else by its own name."""
    action = get(item, "/metadata/action")
    name = str(get(item, "/eventName", ""))
    if action and name.endswith("config_change"):
        return f"{get(item, '/metadata/type', 'Config')}.{action}"
    return name.removeprefix("statsig::")
