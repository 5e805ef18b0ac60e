"""Mandrill's events become <prefix>/<event>: mandrill/send, mandrill/open, mandrill/click."""

from __future__ import annotations

import json

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item; _id is the mail's, which is opened and clicked often, so time and link go with it."""
    listed = json.loads(delivery.form()["mandrill_events"])
    return split(
        delivery,
        listed if isinstance(listed, list) else [listed],
        item_id=("/_id", "/ts", "/url"),
        item_type=("/event", "/type", "/action"),
        item_time="/ts",
    )
