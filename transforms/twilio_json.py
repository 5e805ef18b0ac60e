"""Twilio's event streams become <prefix>/<type>: twilio/com.twilio.messaging.message.delivered."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per CloudEvent; a body that is one object is one event."""
    return split(delivery, item_id="/id", item_type="/type", item_time="/time")
