"""Sources and requests for tests, signed by the providers' own libraries where they have a signer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

from slack_sdk.signature import SignatureVerifier
from standardwebhooks import Webhook
from stripe import WebhookSignature

from gateway import providers
from gateway.locators import compile_locator
from gateway.model import Request
from gateway.scheme import Scheme
from gateway.sources import Source
from gateway.stamp import Mapper

NOW = 1_700_000_000_000
SECRETS = {
    "stripe": "whsec_" + "5" * 32,
    "slack": "8f742231b10e8888abcd99yyyzzz85a5",
    "github": "It's a Secret to Everybody",
    "shopify": "hush-hush-hush-hush",
    "standard-webhooks": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "hmac": "an example key of thirty-two byt",
}
ACME = Scheme(
    header="X-Acme-Signature",
    prefix="sha256=",
    signed="{timestamp}.{body}",
    timestamp="header:X-Acme-Timestamp",
    tolerance_seconds=300,
)
FORM = "application/x-www-form-urlencoded"

Headers = tuple[tuple[str, str], ...]


def source(provider: str, *, secrets: tuple[str, ...] | None = None, name: str = "", **more: object) -> Source:
    """Make a source of a provider with its test secret, as the configuration would."""
    known = providers.get(provider)
    chosen = (SECRETS[provider],) if secrets is None else secrets
    schemes = (ACME,) if provider == "hmac" else known.schemes
    places = {"id": "json:/id", "type": "json:/type", "time": "json:/created_at"} if provider == "hmac" else {}
    located = {
        place: tuple(compile_locator(text) for text in ([places[place]] if place in places else getattr(known, place)))
        for place in ("id", "type", "time", "version")
    }
    values: dict[str, object] = {
        "name": name or provider,
        "provider": known,
        "mapper": Mapper(name or provider, known.transform, lambda _: None, provider),
        "body_limit": known.body_limit,
        "schemes": schemes,
        "secrets": chosen,
        "labels": tuple(f"number-{number}" for number, _ in enumerate(chosen)),
        "keys": tuple(tuple(scheme.decode_key(secret) for secret in chosen) for scheme in schemes),
        **located,
        **more,
    }
    return Source(**values)  # type: ignore[arg-type]


def signed_headers(provider: str, body: bytes, *, secret: str | None = None, at: int = NOW) -> Headers:
    """Sign a body as the provider does at `at` (unix ms), by an independent implementation."""
    key = SECRETS[provider] if secret is None else secret
    seconds = at // 1000
    match provider:
        case "stripe":
            text = WebhookSignature.generate_signature_header(body.decode("utf-8", "replace"), key, timestamp=seconds)
            return (("content-type", "application/json; charset=utf-8"), ("stripe-signature", text))
        case "slack":
            made = SignatureVerifier(key).generate_signature(timestamp=str(seconds), body=body)
            return (("x-slack-request-timestamp", str(seconds)), ("x-slack-signature", str(made)))
        case "standard-webhooks":
            moment = datetime.fromtimestamp(seconds, UTC)
            made = Webhook(key).sign("msg_1", moment, body.decode("utf-8", "replace"))
            return (("webhook-id", "msg_1"), ("webhook-timestamp", str(seconds)), ("webhook-signature", made))
        case "github":
            digest = hmac.new(key.encode(), body, hashlib.sha256).hexdigest()
            return (
                ("x-github-event", "push"),
                ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
                ("x-hub-signature-256", f"sha256={digest}"),
            )
        case "shopify":
            digest = base64.b64encode(hmac.new(key.encode(), body, hashlib.sha256).digest()).decode()
            return (
                ("x-shopify-topic", "orders/create"),
                ("x-shopify-event-id", "98880550-7158-44d4-b7cd-2c97c8a091b5"),
                ("x-shopify-webhook-id", "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"),
                ("x-shopify-triggered-at", "2023-11-14T22:13:20.123456789Z"),
                ("x-shopify-api-version", "2026-10"),
                ("x-shopify-hmac-sha256", digest),
            )
    digest = hmac.new(key.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return (("x-acme-timestamp", str(seconds)), ("x-acme-signature", f"sha256={digest}"))


def request(headers: Headers, body: bytes, *, query: str = "") -> Request:
    """Make a request as the HTTP edge would."""
    return Request("POST", "/webhooks/x", query, headers, body, NOW)


def signed(provider: str, body: bytes, *more: tuple[str, str], secret: str | None = None, at: int = NOW) -> Request:
    """Make a request of the provider, with further headers."""
    return request((*signed_headers(provider, body, secret=secret, at=at), *more), body)


def dumps(document: object) -> bytes:
    """Serialise as JSON."""
    return json.dumps(document).encode()


def form(**fields: object) -> bytes:
    """Serialise as a form; a document becomes JSON inside its field."""
    return urlencode({k: v if isinstance(v, str) else json.dumps(v) for k, v in fields.items()}).encode()


BODIES = {
    "stripe": dumps({"id": "evt_1", "object": "event", "type": "customer.created", "created": 1_699_999_999}),
    "slack": dumps(
        {
            "type": "event_callback",
            "api_app_id": "A1",
            "event_id": "Ev1",
            "event_time": 1_699_999_999,
            "event": {"type": "message", "event_ts": "1699999998.000100"},
        }
    ),
    "github": dumps({"ref": "refs/heads/main"}),
    "shopify": dumps({"id": 1}),
    "standard-webhooks": dumps({"type": "invoice.paid", "timestamp": "2023-11-14T22:13:19.5Z", "data": {}}),
    "hmac": dumps({"id": "o-1", "type": "order.created", "created_at": "2023-11-14T22:13:19Z"}),
}
