"""Adyen's notifications become <prefix>/<event code>: adyen/AUTHORISATION, adyen/REFUND."""

from __future__ import annotations

from typing import Any

from gateway import Delivery, Event, Skip, get, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per item: a payment, what happened to it and with what success make it the fact it is."""
    return split(
        delivery,
        "/notificationItems",
        item_id=("/pspReference", "/eventCode", "/success"),
        item_type="/eventCode",
        item_time="/eventDate",
        envelope=("live",),
        each=_inner,
    )


def _inner(item: Any) -> Any:
    return get(item, "/NotificationRequestItem", item)
