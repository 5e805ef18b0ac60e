"""GitHub webhooks become github/<event> or github/<event>.<action>: github/push, github/pull_request.opened."""

from __future__ import annotations

import json
from typing import Any

from gateway import Delivery, Event, event_name


def transform(delivery: Delivery) -> Event:
    """Name the event after the X-GitHub-Event header and the payload's action, and put the payload into data."""
    payload = _payload(delivery)
    if not isinstance(payload, dict):
        payload = {"body": payload}
    action = payload.get("action")
    # GitHub does not sign its headers, so a slash in one must not become another source's prefix.
    name = event_name(delivery.type or "webhook", action if isinstance(action, str) else "")
    return Event(name=name, data=payload)


def _payload(delivery: Delivery) -> Any:
    """Parse the JSON, which a webhook set to the form content type carries in the field `payload`."""
    if delivery.media_type == "application/x-www-form-urlencoded":
        return json.loads(delivery.form()["payload"])
    return delivery.json()
