"""Stripe: snapshot and thin events on one URL.

https://docs.stripe.com/webhooks and https://docs.stripe.com/event-destinations
"""

from __future__ import annotations

from gateway.model import Request
from gateway.providers.contract import Provider, Retries
from gateway.scheme import Scheme

SCHEME = Scheme(
    header="Stripe-Signature",
    separator=",",
    assign="=",
    key="v1",
    signed="{sig:t}.{body}",
    timestamp="sig:t",
    tolerance_seconds=300,
)


def explain_mismatch(request: Request) -> str:
    """Say what a signature that no secret made may come from."""
    if any(",v0=" in header for header in request.values("stripe-signature")):
        return "the v0 in the header tells of test mode or `stripe listen`, which have secrets of their own"
    return "each endpoint has its own secret, and so have test mode and Connect"


def secret_fault(secret: str) -> str | None:
    """Say why the text cannot be an endpoint's signing secret."""
    if secret.startswith("whsec_"):
        return None
    pasted = {"sk_": "an API key", "rk_": "a restricted API key", "pk_": "a publishable key", "we_": "an endpoint's id"}
    what = next((meaning for start, meaning in pasted.items() if secret.startswith(start)), "something else")
    return f"a Stripe signing secret begins with whsec_ and this is {what}; copy the endpoint's signing secret"


PROVIDER = Provider(
    name="stripe",
    title="Stripe",
    docs="https://docs.stripe.com/webhooks",
    read_from=("official source: stripe/stripe-python",),
    notes=(
        "Each endpoint has a secret of its own, and so have test mode, Connect and `stripe listen`.",
        "A resend by hand does not cancel the tries that Stripe makes by itself.",
    ),
    transform="transforms.stripe:transform",
    register_at="Stripe Dashboard > Developers > Webhooks > Add destination",
    secret_at="the destination's page > Signing secret (whsec_...)",  # noqa: S106 - where it is, not what it is
    schemes=(SCHEME,),
    explain_mismatch=explain_mismatch,
    id=("json:/id",),
    type=("json:/type",),
    time=("json:/created",),
    version=("json:/api_version",),
    secret_fault=secret_fault,
    retries=Retries(horizon_hours=72, checked=True, note="growing pauses over 3 days; in test mode 3 tries in hours"),
)
