"""HubSpot's events become <prefix>/<subscription type>: hubspot/contact.creation, hubspot/deal.propertyChange."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item; HubSpot does not promise that eventId alone is unique, and attemptNumber changes."""
    return split(
        delivery,
        item_id=("/eventId", "/subscriptionId", "/objectId", "/occurredAt"),
        item_type="/subscriptionType",
        item_time="/occurredAt",
    )
