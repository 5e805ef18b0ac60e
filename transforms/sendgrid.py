"""SendGrid's events become <prefix>/<event>: sendgrid/delivered, sendgrid/open."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item; a re-send may hold other items beside it, so only its own id can be relied on."""
    return split(delivery, item_id="/sg_event_id", item_type="/event", item_time="/timestamp")
