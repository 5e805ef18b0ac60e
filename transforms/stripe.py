"""Stripe events, snapshot and thin, become stripe/<type> with Stripe's own spelling: stripe/customer.created."""

from __future__ import annotations

from gateway import Delivery, Event


def transform(delivery: Delivery) -> Event:
    """Keep the type as it is, also `v1.customer.created`, and put Stripe's event into data."""
    return Event(name=delivery.type, data=delivery.json())
