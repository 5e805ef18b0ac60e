"""Okta's events become <prefix>/<event type>: okta/user.lifecycle.create."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item, with the organisation it is from."""
    return split(
        delivery, "/data/events", item_id="/uuid", item_type="/eventType", item_time="/published", envelope=("source",)
    )
