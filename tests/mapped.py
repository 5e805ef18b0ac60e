"""Entries, and transforms to map them with, as the inbox and the sources would make them."""

from __future__ import annotations

import json
from typing import Any

from gateway.model import Delivery, Entry
from gateway.stamp import Mapper, Stamped, Transform

RECEIVED = 1_700_000_000_000


def delivery(body: bytes = b'{"n": 1}', **fields: Any) -> Delivery:
    """Make a delivery of the source acme."""
    known = {"source": "acme", "provider": "hmac", "id": "d-1", "type": "order.created", "received_at": RECEIVED}
    return Delivery(**{"body": body, "content": body, **known, **fields})


def entry(generation: int = 0, **fields: Any) -> Entry:
    """Make an entry of the source acme, in its n-th rerun."""
    return Entry(key=1, delivery=delivery(**fields), generation=generation)


def mapper(function: Transform = lambda _: None, reference: str = "acme:transform", **fields: Any) -> Mapper:
    """Make the mapper of the source acme."""
    return Mapper(**{"source": "acme", "reference": reference, "function": function, "prefix": "acme", **fields})


def wire(stamped: object) -> list[dict[str, Any]]:
    """Read the events back from the bytes of the wire."""
    assert isinstance(stamped, Stamped), stamped
    return [json.loads(event.body) for event in stamped.events]
