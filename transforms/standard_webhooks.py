"""Standard Webhooks become <prefix>/<type>, with the whole payload in data: invoice.paid, contact.created."""

from __future__ import annotations

from gateway import Delivery, Event, event_name


def transform(delivery: Delivery) -> Event:
    """Name the event after the payload's type; the sender chooses it, so a slash must not become a prefix."""
    payload = delivery.json()
    return Event(
        name=event_name(delivery.type),
        data=payload if isinstance(payload, dict) else {"body": payload},
    )
