"""Kontent.ai's notifications become <prefix>/<object>.<action>: kontent-ai/content_item.published."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per notification; it has no id, and its time tells two of a kind apart."""
    return split(
        delivery,
        "/notifications",
        item_id="",
        item_type=("/message/object_type", "/message/action"),
        item_time="/data/system/last_modified",
    )
