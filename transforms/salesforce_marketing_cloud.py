"""Marketing Cloud's notifications become <prefix>/<type>: …/TransactionalSendEvents.EmailSent."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per notification; it has no id, and its time tells two of a kind apart."""
    return split(delivery, item_id="", item_type="/eventCategoryType", item_time="/timestampUTC")
