"""Akeneo's events become <prefix>/<action>: akeneo/product.created."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item, of which Akeneo puts up to ten into a delivery."""
    return split(delivery, "/events", item_id="/event_id", item_type="/action", item_time="/event_datetime")
