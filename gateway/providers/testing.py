"""Try a provider without a server: sign a request as it would, and see what becomes of a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.locators import compile_locator
from gateway.model import Delivery, Event, Learned, Reply, Request
from gateway.providers.contract import Provider
from gateway.scheme import Scheme
from gateway.signatures import signed_request
from gateway.sources import Source
from gateway.stamp import Mapper
from gateway.verify import verify as verify_request

NOTHING: Mapping[str, str] = {}


def verify(
    provider: Provider, request: Request, secrets: Sequence[str], now: int, *, params: Mapping[str, str] = NOTHING
) -> Delivery | Reply | Learned:
    """Return what a source of the provider makes of a request at `now` (unix milliseconds).

    Raises RequestRejected for a request that is refused, ValueError for a secret that cannot be one.
    """
    source = Source(
        name=provider.name,
        provider=provider,
        mapper=Mapper(provider.name, provider.transform, _as_it_is, provider.prefix or provider.name),
        body_limit=provider.body_limit,
        schemes=provider.schemes,
        secrets=tuple(secrets),
        keys=tuple(tuple(scheme.decode_key(secret) for secret in secrets) for scheme in provider.schemes),
        params=params,
        handshakes=provider.handshakes,
        equal_bodies=provider.equal_bodies,
        id=tuple(compile_locator(text) for text in provider.id),
        type=tuple(compile_locator(text) for text in provider.type),
        time=tuple(compile_locator(text) for text in provider.time),
        version=tuple(compile_locator(text) for text in provider.version),
    )
    return verify_request(request, source, now)


def sign(
    scheme: Scheme,
    request: Request,
    secret: str,
    fields: Mapping[str, str] = NOTHING,
    *,
    params: Mapping[str, str] = NOTHING,
) -> Request:
    """Return the request with its signature; `fields` are the other items of the value, such as Stripe's `t`."""
    return signed_request(request, scheme, scheme.decode_key(secret), fields, params=params)


def _as_it_is(delivery: Delivery) -> Event:
    return Event(name=delivery.type, data=delivery.json())
