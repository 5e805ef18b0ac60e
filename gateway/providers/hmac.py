"""Anyone who signs with an HMAC: the scheme and the places of id, type and time come from the configuration."""

from __future__ import annotations

from gateway.providers.contract import Provider

PROVIDER = Provider(
    name="hmac",
    title="Any sender, as [sources.<name>.signature] describes it",
    transform="transforms.generic:transform",
    register_at="the sender's webhook settings",
    secret_at="the sender's webhook settings",  # noqa: S106 - where it is, not what it is
    binary=True,
)
