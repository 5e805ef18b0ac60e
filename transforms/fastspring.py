"""FastSpring's events become <prefix>/<type>: fastspring/order.completed."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item."""
    return split(delivery, "/events", item_id="/id", item_type="/type", item_time="/created")
