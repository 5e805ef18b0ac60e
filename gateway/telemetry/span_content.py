"""What spans tell: an allow-list of attributes, never a header, a body, a query, an address or a secret. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import accumulate
from typing import Any
from urllib.parse import urlsplit

from gateway.batch import Batch
from gateway.exchange import Exchange
from gateway.model import Delivery, Entry, Settlement
from gateway.outcome import Verdict
from gateway.telemetry import span_names as names
from gateway.telemetry.span import Link, Sending

_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})


def name(exchange: Exchange) -> str:
    """Return the name of a request's span: its method and route where it has them."""
    known = exchange.source and exchange.method in _METHODS
    return f"{exchange.method} {names.ROUTE}" if known else names.STRAY_SPAN


def request(
    exchange: Exchange, *, source: str, outcome: str, status: int, error: str, delivery: Delivery | None
) -> dict[str, Any]:
    """Return what is told of a request; the source in its URL only where it is a configured one, `source`."""
    return {
        names.HTTP_METHOD: exchange.method if exchange.method in _METHODS else "_OTHER",
        names.HTTP_STATUS: status,
        names.HTTP_BODY_SIZE: exchange.bytes_in,
        names.URL_SCHEME: "http",
        **({names.HTTP_ROUTE: names.ROUTE} if exchange.source else {}),
        **({names.URL_PATH: f"/webhooks/{source}"} if exchange.source == source else {}),
        names.SOURCE: source,
        names.OUTCOME: outcome,
        **_present({names.REASON: exchange.label, names.ERROR_TYPE: error}),
        **(_delivery(delivery) if delivery else {}),
    }


def marks(steps: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return when each step ended, in seconds from the start of the first; `steps` are the milliseconds they took."""
    return list(zip(steps, accumulate(took / 1000 for took in steps.values()), strict=True))


def attempt(batch: Batch, verdict: Verdict, events: int, status: int | None, event_api: str) -> dict[str, Any]:
    """Return what is told of a request to the event API."""
    accepted = verdict.label == "accepted"
    return {
        names.HTTP_METHOD: "POST",
        **_address(event_api),
        names.MESSAGING_SYSTEM: "inngest",
        names.MESSAGING_OPERATION: "send",
        names.MESSAGING_OPERATION_TYPE: "send",
        names.MESSAGING_BATCH_COUNT: events,
        names.BATCH: batch.name,
        names.ENTRIES: len(batch.members),
        names.ACCEPTED: verdict.accepted,
        names.ATTEMPT: max(member.lease.attempt for member in batch.members),
        names.OUTCOME: verdict.label,
        **_present({names.HTTP_STATUS: status, names.ERROR_TYPE: "" if accepted else verdict.label}),
    }


def links(sending: Sending) -> list[Link]:
    """Return a link to each attempt before, then one to each sampled delivery."""
    previous: list[Link] = [(before, {names.LINK: "previous attempt"}) for before in sending.before]
    return previous + [
        (delivery.traceparent, {names.LINK: "delivery", names.MESSAGING_MESSAGE_ID: delivery.id})
        for delivery in sending.carried
    ]


def dead(entry: Entry, settlement: Settlement, outcome: str) -> dict[str, Any]:
    """Return what is told of a dead letter; of its reason the label alone, as a transform may have written it."""
    return {
        names.SOURCE: entry.delivery.source,
        names.OUTCOME: "dead",
        names.ERROR_TYPE: outcome,
        names.ATTEMPT: settlement.attempt.number if settlement.attempt else entry.attempts,
        **_delivery(entry.delivery),
    }


def _delivery(delivery: Delivery) -> dict[str, Any]:
    told = {names.DELIVERY_ID: delivery.id, names.DELIVERY_TYPE: delivery.type, names.SECRET: delivery.secret}
    return _present(told)


def _present(told: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in told.items() if value}


@lru_cache(maxsize=4)
def _address(url: str) -> dict[str, Any]:
    """Return what is told of the event API's URL, in which the key is a segment."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    told = f"{parts.scheme}://{parts.hostname}:{port}{parts.path.rstrip('/')}/e/REDACTED"
    return {names.SERVER_ADDRESS: parts.hostname or "", names.SERVER_PORT: port, names.URL_FULL: told}
