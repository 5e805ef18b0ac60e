"""Attio's events become <prefix>/<type>: attio/record.created, attio/note.updated."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item; it has neither id nor time, so equal ones of two deliveries are two facts."""
    return split(delivery, "/events", item_type="/event_type", envelope=("webhook_id",))
