"""Fitbit's notifications become <prefix>/<collection>: fitbit/activities, fitbit/sleep."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per notification; it tells a day but no time, so equal ones of two deliveries are two facts."""
    return split(delivery, item_type="/collectionType")
