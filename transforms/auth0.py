"""Auth0's log entries become <prefix>/<type code>: auth0/s for a login, auth0/fp for a wrong password."""

from __future__ import annotations

from gateway import Delivery, Event, Skip, split


def transform(delivery: Delivery) -> list[Event] | Skip:
    """Make one event per entry, named by the code of https://auth0.com/docs/deploy-monitor/logs/log-event-type-codes."""
    return split(delivery, item_id="/log_id", item_type="/data/type", item_time="/data/date")
