"""Klaviyo's events become <prefix>/<topic>: klaviyo/event:klaviyo.sent_sms."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item."""
    return split(
        delivery, "/data", item_id="/external_id", item_type="/topic", item_time="/payload/data/attributes/datetime"
    )
