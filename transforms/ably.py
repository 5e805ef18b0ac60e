"""Ably's events become <prefix>/<source>: ably/channel.message, ably/channel.presence."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item; webhookId names the rule, and the time of an item tells two of a kind apart."""
    return split(delivery, "/items", item_id="", item_type="/source", item_time="/timestamp")
