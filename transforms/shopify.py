"""Shopify topics become event names with a dot: orders/create becomes shopify/orders.create."""

from __future__ import annotations

from gateway import Delivery, Event, event_name


def transform(delivery: Delivery) -> Event:
    """Name the event after the topic and put the payload into data."""
    payload = delivery.json()
    return Event(
        name=event_name(delivery.type),
        data=payload if isinstance(payload, dict) else {"body": payload},
    )
