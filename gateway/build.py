"""Make the sources that a valid configuration describes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from gateway import dedupe
from gateway.admission import Admission
from gateway.batch import Limits
from gateway.build_mapper import mapper
from gateway.client_address import Proxies, parse_network
from gateway.config import Config, SourceConfig
from gateway.config.handshake_checks import handshakes_of
from gateway.find_provider import find
from gateway.locators import Locator, compile_locator
from gateway.providers import Provider
from gateway.quarantine import Keeping
from gateway.scheme import SHORT_KEY_BYTES, Scheme
from gateway.sender import Rate
from gateway.sources import Source

SOON_MS = 14 * 86_400_000
BEHIND_A_PROXY = (
    "allow is held against the address of whoever connects; where that is a proxy, name it in server.trusted_proxies"
)

LEASE_MARGIN_MS = 60_000


def sources(config: Config) -> dict[str, Source]:
    """Make the sources of a valid configuration. Raises TransformError when a transform cannot be loaded."""
    return {name: _source(name, source, config) for name, source in config.sources.items()}


def keeping(config: Config, built: Mapping[str, Source]) -> Keeping:
    """Return what the quarantine may keep of requests to the sources that were built."""
    return Keeping(built, bodies=config.rejections.keep_bodies, addresses=config.rejections.keep_addresses)


def limits(config: Config) -> Limits:
    """Return the event API's limits as configured."""
    api = config.event_api
    alone_in_its_array = api.max_request_bytes - len(b"[]")
    return Limits(api.max_request_bytes, min(api.max_event_bytes, alone_in_its_array), api.max_batch_events)


def rate(config: Config) -> Rate | None:
    """Return how many events a second may be sent, under a name that does not tell the event key; None for any."""
    api = config.event_api
    if api.max_events_per_second is None:
        return None
    name = hashlib.sha256(f"{api.url}\n{api.key.reveal()}".encode()).hexdigest()[:16]
    return Rate(name, api.max_events_per_second)


def _source(name: str, config: SourceConfig, whole: Config) -> Source:
    provider = find(config.provider, whole.path.parent)
    schemes = schemes_of(config, provider)
    secrets = tuple(secret.reveal() for secret in config.secrets if secret.known)
    path_token = config.path_token.reveal() if config.path_token else ""
    places: Any = _places(config, provider)
    return Source(
        name=name,
        provider=provider,
        mapper=mapper(name, config, provider, whole),
        body_limit=config.body_limit_bytes or provider.body_limit,
        schemes=schemes,
        verified=config.verify == "signature",
        secrets=secrets,
        params=config.params,
        keys=tuple(tuple(_key(scheme, secret) for secret in secrets) for scheme in schemes),
        handshakes=handshakes_of(config, provider),
        learned_at=next((str(secret.learned_at) for secret in config.secrets if secret.learned_at), ""),
        answers=provider.answer(config.answer.change() if config.answer else None),
        equal_bodies=(config.delivery and config.delivery.equal_bodies) or provider.equal_bodies,
        dedupe_window_ms=dedupe.remembered_ms(
            dedupe.window_days(provider, whole.inbox.dedupe_window_days, config.dedupe_window_days)
        ),
        labels=tuple(secret.label for secret in config.secrets),
        not_after=tuple(secret.not_after for secret in config.secrets),
        enforced=config.enforce,
        admission=Admission(path_token, tuple(map(parse_network, config.allow))),
        public_url=public_url(config, path_token),
        trust_traceparent=config.trust_traceparent,
        **places,
    )


def schemes_of(source: SourceConfig, provider: Provider) -> tuple[Scheme, ...]:
    """Return the schemes of a source: its own, else its provider's."""
    return tuple(table.scheme() for table in source.signature) or provider.schemes


def public_url(config: SourceConfig, path_token: str) -> str:
    """Return a source's own public URL, which ends in its path token where it has one; empty without one of its own."""
    url = config.public_url
    return f"{url.rstrip('/')}/{path_token}" if url and path_token else url


def lease_ms(config: Config) -> int:
    """Return for how long an entry is leased: longer than its transform and two requests may take."""
    mapping = max((source.transform_timeout_seconds for source in config.sources.values()), default=0)
    return int((config.event_api.timeout_seconds * 2 + mapping) * 1_000) + LEASE_MARGIN_MS


def proxies(config: Config) -> Proxies:
    """Return whose word is taken about who sent a request."""
    server = config.server
    return Proxies(tuple(map(parse_network, server.trusted_proxies)), server.forwarded_header)


def _key(scheme: Scheme, secret: str) -> bytes:
    """Return the key of a secret, empty where it is one of another scheme of the source."""
    try:
        return scheme.decode_key(secret)
    except ValueError:
        return b""


def _places(config: SourceConfig, provider: Provider) -> Mapping[str, tuple[Locator, ...]]:
    """Return the locators of id, type, time and version: the configured ones where given, else the provider's."""
    given = config.delivery
    return {
        place: tuple(map(compile_locator, (getattr(given, place) if given else ()) or getattr(provider, place)))
        for place in ("id", "type", "time", "version")
    }


def notes(config: Config, now: int) -> dict[str, str]:
    """Say what an operator should know of each source at a time (unix milliseconds), in a sentence or more."""
    found = {
        name: "; ".join([*_notes(source, find(source.provider, config.path.parent)), *_ending(source, now)])
        for name, source in config.sources.items()
    }
    for name, source in config.sources.items():
        if source.allow and not config.server.trusted_proxies:
            found[name] = "; ".join(filter(None, (found[name], BEHIND_A_PROXY)))
    return {name: text for name, text in found.items() if text}


def _ending(source: SourceConfig, now: int) -> Iterator[str]:
    """Warn of secrets that match no more, or soon will not."""
    for secret in source.secrets:
        if secret.not_after is None:
            continue
        if now > secret.not_after:
            yield f"the secret {secret.label} ended {_day(secret.not_after)} and matches no more; remove it"
        elif secret.not_after - now < SOON_MS:
            yield (
                f"the secret {secret.label} ends {_day(secret.not_after)}; `gateway sources` tells whether the sender "
                "still uses it"
            )


def _day(milliseconds: int) -> str:
    return f"on {datetime.fromtimestamp(milliseconds / 1000, UTC):%Y-%m-%d at %H:%M} UTC"


def _notes(source: SourceConfig, provider: Provider) -> Iterator[str]:
    if source.verify == "none":
        yield 'verify = "none": anyone who knows the URL can send; set secrets as soon as the sender signs'
        return
    if not source.enforce:
        yield (
            "enforce = false: what fails verification is kept and forwarded all the same, so anyone who knows the URL "
            "can send; remove it once the log shows no unverified_kept"
        )
    if any(not secret.known for secret in source.secrets):
        yield (
            "has no secret yet: the first handshake that arrives is trusted, whoever sends it, and its token kept in "
            f"{source.secrets[0].learned_at}; until then deliveries are answered 503"
        )
    if provider.confidence == "low":
        yield (
            f"how {provider.title} signs was not confirmed by its own documentation; have it send a test webhook and "
            "see that it is accepted, and that it is refused with another secret"
        )
    if source.provider == "hmac" and not (source.delivery and source.delivery.id):
        yield "delivery.id is not set, so the SHA-256 of the body stands for it and equal bodies are absorbed"
    yield from _notes_on_schemes(source, schemes_of(source, provider))


def _notes_on_schemes(source: SourceConfig, schemes: tuple[Scheme, ...]) -> Iterator[str]:
    if any(scheme.signs and not scheme.covers_body for scheme in schemes):
        yield "the signature does not cover the whole body, so who has seen one request can change the rest"
    known = [secret.reveal() for secret in source.secrets if secret.known]
    if any(_is_short(scheme, secret) for scheme in schemes for secret in known):
        yield f"a secret has less than {SHORT_KEY_BYTES} bytes and can be guessed; take a longer one if you can"


def _is_short(scheme: Scheme, secret: str) -> bool:
    return not scheme.asymmetric and not scheme.secret_hash and 0 < len(_key(scheme, secret)) < SHORT_KEY_BYTES
