"""What spans are made of, as values; no library of any collector is needed for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from gateway.model import Delivery

Link = tuple[str, dict[str, Any]]


@dataclass(slots=True)
class Sending:
    """A request to the event API under way, since `begun`.

    `carried` are the sampled deliveries in it; `before` are the traceparents of the attempts before it.
    """

    traceparent: str
    begun: float
    carried: Sequence[Delivery] = ()
    before: Sequence[str] = ()


@dataclass(slots=True)
class Made:
    """A span that took `seconds` and is over now. `traceparent` is its own, `parent` its parent's if it has one.

    `marks` are its events, in seconds after its start; `links` are traceparents, with attributes. `error` is the label
    of what failed.
    """

    name: str
    traceparent: str
    seconds: float
    attributes: dict[str, Any]
    kind: Literal["server", "client", "internal"] = "internal"
    marks: Sequence[tuple[str, float]] = ()
    links: Sequence[Link] = ()
    parent: str = ""
    error: str = ""


class Exporter(Protocol):
    """What takes spans to a collector, as `gateway.telemetry.otlp.SpanExport` does."""

    def take(self, span: Made) -> None:
        """Take a span that ends now, or drop and count it; it never waits and raises nothing."""
        ...

    async def close(self) -> None:
        """Send what waits, within seconds, and give up the rest."""
        ...
