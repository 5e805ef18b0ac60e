"""GitHub: https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries."""

from __future__ import annotations

from gateway.providers.contract import MIB, Provider, Retries
from gateway.scheme import Scheme

PROVIDER = Provider(
    name="github",
    transform="transforms.github:transform",
    register_at="repository or organisation > Settings > Webhooks > Add webhook, content type application/json",
    secret_at="the Secret field of the same page, chosen by you",  # noqa: S106 - where it is, not what it is
    # GitHub also sends a SHA-1 signature; the strong one alone is looked at.
    schemes=(Scheme(header="X-Hub-Signature-256", prefix="sha256="),),
    id=("header:X-GitHub-Delivery",),
    type=("header:X-GitHub-Event",),
    secret_headers=("x-hub-signature",),
    # Payloads are capped at 25 MB, and GitHub never retries by itself, so a lower limit would lose deliveries.
    body_limit=25 * MIB,
    retries=Retries(horizon_hours=0, checked=True),
)
