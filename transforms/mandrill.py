"""Mandrill's events become <prefix>/<event>: mandrill/send, mandrill/open, mandrill/click."""

from __future__ import annotations

import json
from typing import Any

from gateway import Delivery, Event, Skip, get, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item of the form's JSON list."""
    listed = json.loads(delivery.form()["mandrill_events"])
    return split(
        delivery,
        listed if isinstance(listed, list) else [listed],
        item_id=_id,
        item_type=("/event", "/type", "/action"),
        item_time="/ts",
    )


def _id(item: dict[str, Any]) -> Any:
    """Return what tells an event from others: _id is the mail's, which is opened often and has many links."""
    mail = get(item, "/_id")
    return mail and [mail, get(item, "/ts"), get(item, "/url")]
