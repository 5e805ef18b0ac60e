"""SharePoint's notifications become <prefix>/list.changed; what changed is asked of SharePoint."""

from __future__ import annotations

from typing import Any

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per notification, without clientState, which is the secret; it has neither id nor time."""
    return split(delivery, "/value", item_type=lambda _: "list.changed", each=_without_secret)


def _without_secret(item: Any) -> Any:
    return {key: value for key, value in item.items() if key != "clientState"} if isinstance(item, dict) else item
