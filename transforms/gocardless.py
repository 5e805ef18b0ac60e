"""GoCardless's events become <prefix>/<resource>.<action>: gocardless/payments.confirmed."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item."""
    return split(delivery, "/events", item_id="/id", item_type=("/resource_type", "/action"), item_time="/created_at")
