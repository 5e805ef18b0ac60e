"""Microsoft Graph's notifications become <prefix>/<resource>.<change>: microsoft-graph/message.created."""

from __future__ import annotations

from typing import Any

from gateway import Delivery, Event, Skip, get, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per notification, without clientState, which is the secret; the id is optional."""
    return split(delivery, "/value", item_id=("/id", "/subscriptionId"), item_type=_type, each=_without_secret)


def _without_secret(item: Any) -> Any:
    return {key: value for key, value in item.items() if key != "clientState"} if isinstance(item, dict) else item


def _type(item: dict[str, Any]) -> str:
    """Name a change after the resource's type, such as #Microsoft.Graph.Message, and a lifecycle event by itself."""
    if lifecycle := get(item, "/lifecycleEvent"):
        return f"subscription.{lifecycle}"
    noun = str(get(item, "/resourceData/@odata.type", "resource")).rpartition(".")[2]
    return f"{noun.removeprefix('#').lower()}.{get(item, '/changeType', 'changed')}"
