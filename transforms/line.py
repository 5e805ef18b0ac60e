"""LINE's events become <prefix>/<type>: line/message, line/follow."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item, with the bot it is for. The Verify button sends none."""
    return split(
        delivery,
        "/events",
        item_id="/webhookEventId",
        item_type="/type",
        item_time="/timestamp",
        envelope=("destination",),
    )
