"""Pusher's events become <prefix>/<name>: pusher/channel_occupied, pusher/member_added."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item; it has no id, and only the delivery tells a time."""
    return split(delivery, "/events", item_type="/name", item_time="/time_ms", envelope=("time_ms",))
