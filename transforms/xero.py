"""Xero's events become <prefix>/<category>.<type>: xero/INVOICE.UPDATE, xero/CONTACT.CREATE."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item; it has no id, and its time tells two of a kind apart."""
    return split(delivery, "/events", item_id="", item_type=("/eventCategory", "/eventType"), item_time="/eventDateUtc")
