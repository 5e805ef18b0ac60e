"""Shopify: https://shopify.dev/docs/apps/build/webhooks/subscribe/https."""

from __future__ import annotations

from gateway.locators import Content, to_milliseconds
from gateway.providers.contract import MIB, Facts, Provider
from gateway.scheme import Scheme
from gateway.signatures import Proof


def describe(content: Content, _: Proof) -> Facts:
    """Read the headers, whose names come with and without the X- prefix.

    Shopify says to recognise duplicates by the event id, which is equal over re-sends, but deliveries of different
    topics may share one, so the topic belongs to the delivery id.
    """
    topic = _header(content, "topic")
    event_id = _header(content, "event-id")
    return Facts(
        id=f"{event_id}:{topic}" if event_id else _header(content, "webhook-id"),
        type=topic,
        time=to_milliseconds(_header(content, "triggered-at")),
        version=_header(content, "api-version") or None,
    )


def _header(content: Content, name: str) -> str:
    return content.header(f"x-shopify-{name}") or content.header(f"shopify-{name}")


PROVIDER = Provider(
    name="shopify",
    transform="transforms.shopify:transform",
    register_at="shopify.app.toml or admin > Settings > Notifications > Webhooks",
    secret_at="the app's client secret, or the key shown under Settings > Notifications > Webhooks",  # noqa: S106 - where it is
    schemes=(Scheme(header="X-Shopify-Hmac-Sha256", also=("Shopify-Hmac-Sha256",), encoding="base64"),),
    describe=describe,
    body_limit=5 * MIB,
)
