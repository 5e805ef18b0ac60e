"""Asana's changes become <prefix>/<resource>.<action>: asana/task.changed, asana/story.added."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per change; it has no id, and its time tells two of a kind apart. A heartbeat holds none."""
    return split(
        delivery, "/events", item_id="", item_type=("/resource/resource_type", "/action"), item_time="/created_at"
    )
