"""Mailtrap's events become <prefix>/<event>: mailtrap/delivery, mailtrap/open."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item, whether Mailtrap is set to JSON or to JSON Lines."""
    return split(delivery, "/events", item_id="/event_id", item_type="/event", item_time="/timestamp")
