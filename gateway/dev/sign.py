"""Sign a sample as its provider would, and spoil it on request: what `gateway send` posts."""

from __future__ import annotations

import random
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from gateway.config import SourceConfig
from gateway.dev.samples import Sample, make
from gateway.model import Request
from gateway.scheme import Scheme
from gateway.signatures import sign
from gateway.sources import Source

STALE_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request ready to be posted to a source's URL."""

    type: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def signed_sample(
    source: Source, config: SourceConfig, kind: str | None, *, url: str, now: int, rng: random.Random
) -> SignedRequest:
    """Return a sample of type `kind` (default: the provider's first) with the headers its provider would send.

    `now` is unix milliseconds. Raises ValueError, with a sentence, for a type there is no sample of.
    """
    return sign_sample(source, config, make(source.provider.name, kind, now=now, rng=rng), url=url, now=now, rng=rng)


def sign_sample(
    source: Source, config: SourceConfig, sample: Sample, *, url: str, now: int, rng: random.Random
) -> SignedRequest:
    """Return a sample with the headers its provider would send; `now` is unix milliseconds.

    Raises ValueError, with a sentence, for a source that awaits its secret.
    """
    if source.awaits_secret:
        raise ValueError(
            f"there is no secret to sign with yet; the first handshake gives it, kept in {source.learned_at}"
        )
    headers = (*sample.headers, *_located_headers(config, sample, rng))
    if not source.verified:
        return SignedRequest(sample.type, headers, sample.body)
    scheme, keys = source.schemes[0], source.keys[0]
    fields: dict[str, str] = {}
    for where, value in (
        (scheme.timestamp, _timestamp(scheme, now)),
        (scheme.id, uuid.UUID(int=rng.getrandbits(128)).hex),
    ):
        place, _, name = where.partition(":")
        if place == "sig":
            fields[name] = value
        elif place == "header" and name.lower() not in {header.lower() for header, _ in headers}:
            headers = (*headers, (name, value))
    lowered = tuple((name.lower(), value) for name, value in headers)
    request = Request("POST", source.called_path, "", lowered, sample.body, now, url)
    signature = (scheme.header, sign(request, scheme, keys[0], fields, params=source.params))
    return SignedRequest(sample.type, (*headers, signature), sample.body)


def signs_time(source: Source) -> bool:
    """Tell whether the source's signature covers a time, without which a stale request looks like a fresh one."""
    return bool(source.schemes[0].timestamp)


def tampered(request: SignedRequest) -> SignedRequest:
    """Return the request with one bit of its body changed after signing, still valid as text."""
    position = next(index for index, byte in enumerate(request.body) if chr(byte).isalpha())
    body = bytearray(request.body)
    body[position] ^= 0x20
    return replace(request, body=bytes(body))


def _located_headers(config: SourceConfig, sample: Sample, rng: random.Random) -> list[tuple[str, str]]:
    """Return the headers in which the configuration looks for id and type."""
    wanted = config.delivery
    values = {"id": str(uuid.UUID(int=rng.getrandbits(128), version=4)), "type": sample.type}
    found = []
    for place, value in values.items():
        for locator in getattr(wanted, place, ()) or ():
            kind, _, name = locator.partition(":")
            if kind == "header":
                found.append((name, value))
    return found


def _timestamp(scheme: Scheme, now: int) -> str:
    match scheme.timestamp_unit:
        case "s":
            return str(now // 1000)
        case "ms":
            return str(now)
    return datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
