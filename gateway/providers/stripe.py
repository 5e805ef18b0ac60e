"""Stripe: snapshot and thin events on one URL, verified by Stripe's own library.

https://docs.stripe.com/webhooks and https://docs.stripe.com/event-destinations
"""

from __future__ import annotations

from collections.abc import Sequence

from stripe import SignatureVerificationError, WebhookSignature

from gateway.model import Request
from gateway.providers.contract import Provider, Retries
from gateway.rejections import BodyMalformed, SignatureMalformed, SignatureMismatch
from gateway.scheme import Scheme
from gateway.signatures import Proof, parser, reader, require_recent

SCHEME = Scheme(
    header="Stripe-Signature",
    separator=",",
    assign="=",
    key="v1",
    signed="{sig:t}.{body}",
    timestamp="sig:t",
    tolerance_seconds=300,
)
_READ, _PARSE = reader(SCHEME), parser(SCHEME.timestamp_unit)


def check(request: Request, secrets: Sequence[str], now: int) -> Proof:
    """Verify with Stripe's library, one secret after the other; `now` is unix milliseconds.

    The library takes undeclared exceptions out of its callers' hands (TypeError for a signature that is not ASCII,
    UnicodeDecodeError for a body that is not UTF-8) and bounds the timestamp only in the past, against a clock of its
    own. So header and body are checked here before it sees them, and the window after.
    """
    fields, _ = _READ(request)
    if not fields.get("t"):
        raise SignatureMalformed("the Stripe-Signature header does not hold t exactly once")
    sent_at = _PARSE(fields["t"])
    try:
        body = request.body.decode()
    except UnicodeDecodeError as error:
        raise BodyMalformed("the body is not UTF-8, and Stripe sends JSON in UTF-8") from error
    header = request.values("stripe-signature")[0]
    matched = [index for index, secret in enumerate(secrets) if _is_signed_with(secret, header, body)]
    if not matched:
        raise SignatureMismatch(_mismatch(len(secrets), header))
    require_recent(sent_at, now, SCHEME.tolerance_seconds)
    return Proof(secret=matched[0], timestamp=sent_at, fields=fields, signed=f"{fields['t']}.".encode() + request.body)


def _is_signed_with(secret: str, header: str, body: str) -> bool:
    try:
        return bool(WebhookSignature.verify_header(body, header, secret, tolerance=None))
    except (SignatureVerificationError, TypeError, ValueError):
        return False


def _mismatch(count: int, header: str) -> str:
    hint = (
        "the v0 in the header tells of test mode or `stripe listen`, which have secrets of their own"
        if ",v0=" in header
        else "each endpoint has its own secret, and so have test mode and Connect"
    )
    return f"Stripe-Signature matches none of the {count} configured secrets; {hint}"


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
    read_from=("official source: stripe/stripe-python, which also verifies",),
    notes=(
        "Each endpoint has a secret of its own, and so have test mode, Connect and `stripe listen`.",
        "A resend by hand does not cancel the tries that Stripe makes by itself.",
    ),
    transform="transforms.stripe:transform",
    register_at="Stripe Dashboard > Developers > Webhooks > Add destination",
    secret_at="the destination's page > Signing secret (whsec_...)",  # noqa: S106 - where it is, not what it is
    schemes=(SCHEME,),
    check=check,
    id=("json:/id",),
    type=("json:/type",),
    time=("json:/created",),
    version=("json:/api_version",),
    secret_fault=secret_fault,
    retries=Retries(horizon_hours=72, checked=True, note="growing pauses over 3 days; in test mode 3 tries in hours"),
)
