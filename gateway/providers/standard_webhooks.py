"""Standard Webhooks: https://github.com/standard-webhooks/standard-webhooks, under both families of header names."""

from __future__ import annotations

from gateway.providers.contract import Provider
from gateway.scheme import Scheme


def _scheme(family: str) -> Scheme:
    return Scheme(
        header=f"{family}-signature",
        encoding="base64",
        separator=" ",
        assign=",",
        key="v1",
        signed="{id}.{timestamp}.{body}",
        id=f"header:{family}-id",
        timestamp=f"header:{family}-timestamp",
        tolerance_seconds=300,
        secret_encoding="base64",  # noqa: S106 - an encoding, not a secret
        secret_prefix="whsec_",  # noqa: S106 - a prefix, not a secret
    )


PROVIDER = Provider(
    name="standard-webhooks",
    transform="transforms.standard_webhooks:transform",
    register_at="the sender's webhook settings",
    secret_at="the endpoint's signing secret (whsec_...)",  # noqa: S106 - where it is, not what it is
    schemes=(_scheme("webhook"), _scheme("svix")),
    type=("json:/type", "json:/event_type"),
    time=("json:/timestamp",),
)
