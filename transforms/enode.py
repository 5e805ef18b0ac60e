"""Enode's events become <prefix>/<event>: enode/user:vehicle:updated, enode/system:heartbeat."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item; it has no id, and its time tells two of a kind apart."""
    return split(delivery, item_id="", item_type="/event", item_time="/createdAt")
