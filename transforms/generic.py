"""Any webhook becomes <prefix>/<type>, or <prefix>/webhook.received where the sender gives no type."""

from __future__ import annotations

import base64
from typing import Any

from gateway import Delivery, Event, InvalidPayload, event_name


def transform(delivery: Delivery) -> Event:
    """Name the event after the type; the sender chooses it, so a slash must not become a prefix."""
    return Event(name=event_name(delivery.type), data=_data(delivery))


def _data(delivery: Delivery) -> dict[str, Any]:
    """Return a JSON object or a form's fields as they are, and anything else as `body`: JSON, text or base64."""
    try:
        if delivery.media_type == "application/x-www-form-urlencoded":
            return dict(delivery.form())
        payload = delivery.json()
    except InvalidPayload:
        return _unparsed(delivery)
    return payload if isinstance(payload, dict) else {"body": payload}


def _unparsed(delivery: Delivery) -> dict[str, Any]:
    try:
        return {"body": delivery.text()}
    except InvalidPayload:
        return {"body_base64": base64.b64encode(delivery.content).decode()}
