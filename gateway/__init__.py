"""A webhook-to-event gateway: verify, keep, map and forward. These are the names a transform may import."""

from gateway.errors import InvalidPayload
from gateway.items import look_up, split
from gateway.model import Delivery, Event, Skip
from gateway.names import event_name

__all__ = ["Delivery", "Event", "InvalidPayload", "Skip", "event_name", "look_up", "split"]
