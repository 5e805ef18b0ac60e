"""A webhook-to-event gateway: verify, keep, map and forward. These are the names a transform may import."""

from gateway.errors import InvalidPayload
from gateway.model import Delivery, Event, Skip

__all__ = ["Delivery", "Event", "InvalidPayload", "Skip"]
