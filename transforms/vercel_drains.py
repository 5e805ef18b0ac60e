"""Vercel's log entries become <prefix>/<source>: vercel/lambda, vercel/build."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per entry, whether the drain sends JSON or NDJSON."""
    return split(delivery, item_id="/id", item_type="/source", item_time="/timestamp")
