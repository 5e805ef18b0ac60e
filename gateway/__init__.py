"""A webhook-to-event gateway: verify, keep, map and forward. These are the names a transform may import."""

from gateway.errors import InvalidPayload
from gateway.fields import get, mask, pick
from gateway.items import split
from gateway.model import Delivery, Event, Skip
from gateway.names import event_name
from gateway.provider_time import to_ts

__all__ = [
    "Delivery",
    "Event",
    "InvalidPayload",
    "Skip",
    "event_name",
    "get",
    "mask",
    "pick",
    "split",
    "to_ts",
]
