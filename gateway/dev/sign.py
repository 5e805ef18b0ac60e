"""Sign a sample as its provider would, well or badly on request: what `gateway send` posts."""

from __future__ import annotations

import enum
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gateway.config import SourceConfig
from gateway.dev import filling, key_pairs, spoiling
from gateway.dev.draft import Draft
from gateway.dev.samples import Sample, make, types
from gateway.model import Request
from gateway.multipart import wrap
from gateway.providers import contentful
from gateway.scheme import Scheme
from gateway.signatures import Make, sign, signed_request
from gateway.sources import Source

STALE_MS = 86_400_000
PLACES = ("id", "type", "time", "version")


class Spoil(enum.StrEnum):
    """What is wrong with a sample, so that the gateway must refuse it."""

    NOTHING = "nothing"
    TAMPERED = "tampered"
    UNSIGNED = "unsigned"
    WRONG_SECRET = "wrong_secret"  # noqa: S105 - a word, not a secret
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request ready to be posted to a source's URL."""

    type: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    query: str = ""


@dataclass(frozen=True, slots=True)
class _Signer:
    """How the samples of one source are signed."""

    scheme: Scheme
    key: bytes
    make: Make | None = None


def signed_sample(
    source: Source,
    config: SourceConfig,
    kind: str | None = None,
    *,
    url: str,
    now: int,
    rng: random.Random,
    spoil: Spoil = Spoil.NOTHING,
    private_key: str = "",
) -> SignedRequest:
    """Return a sample of type `kind` (default: the provider's first) with the headers its provider would send.

    `url` is the source's public one, `now` unix milliseconds, `private_key` the PEM that belongs to the secret of a
    source whose secret is a public key. Raises ValueError, with a sentence, for a type there is no sample of, and
    where nothing can be signed or spoiled as asked for.
    """
    now -= stale_age(source) if spoil is Spoil.STALE else 0
    sample = make(source.provider.name, kind, now=now, rng=rng) if types(source.provider.name) else None
    signer = _signer(source, private_key, spoil) if source.verified else None
    places = _places(source, config)
    scheme = signer.scheme if signer else None
    provider = source.provider
    draft = (
        _draft(sample)
        if sample
        else filling.outline(provider.title, scheme, places, batch=provider.batch, kind=kind, rng=rng)
    )
    filling.fill(draft, scheme, places, now=now, rng=rng)
    return _send_off(source, draft, signer, url=url, now=now, spoil=spoil)


def sign_sample(
    source: Source, config: SourceConfig, sample: Sample, *, url: str, now: int, rng: random.Random
) -> SignedRequest:
    """Return a sample with the headers its provider would send; else as `signed_sample`."""
    draft = _draft(sample)
    signer = _signer(source, "", Spoil.NOTHING)
    filling.fill(draft, signer.scheme, _places(source, config), now=now, rng=rng)
    return _send_off(source, draft, signer, url=url, now=now, spoil=Spoil.NOTHING)


def stale_age(source: Source) -> int:
    """Return an age (milliseconds) at which a signed time is outside every window of the source."""
    return max([STALE_MS, *((scheme.tolerance_seconds + 60) * 1000 for scheme in source.schemes)])


def signs_time(source: Source) -> bool:
    """Tell whether the source's signature covers a time, without which a stale request looks like a fresh one."""
    if not source.schemes:
        return False
    scheme, _ = _first_usable(source)
    timed = bool(scheme.timestamp and scheme.tolerance_seconds) or scheme.method == "jwt-hs256"
    return timed or source.provider.name in _SIGNED_TEXTS


def signs_content(source: Source) -> bool:
    """Tell whether the source's signature covers anything of the request; a token or a password covers nothing."""
    return bool(source.schemes) and _first_usable(source)[0].method not in {"token", "basic"}


def _draft(sample: Sample) -> Draft:
    document = dict(sample.document) if isinstance(sample.document, dict) else sample.document
    return Draft(sample.type, dict(sample.headers), document, sample.layout)


def _places(source: Source, config: SourceConfig) -> Mapping[str, tuple[str, ...]]:
    given = config.delivery
    return {place: (getattr(given, place) if given else ()) or getattr(source.provider, place) for place in PLACES}


def _signer(source: Source, private_key: str, spoil: Spoil) -> _Signer:
    """Return what signs by the source's first usable scheme, with another key where asked for."""
    if source.awaits_secret:
        raise ValueError(
            f"there is no secret to sign with yet; the first handshake gives it, kept in {source.learned_at}"
        )
    if not source.schemes:
        raise ValueError("its provider verifies in Python and names no scheme, so there is nothing to sign samples by")
    wrong = spoil is Spoil.WRONG_SECRET
    scheme, key = _first_usable(source)
    if not scheme.asymmetric:
        return _Signer(scheme, b"not-" + key if wrong else key)
    private = key_pairs.generate(scheme.method)[0] if wrong else private_key
    if not private:
        raise ValueError(
            "its secret is a public key, and samples need the private one; make a pair with --new-key FILE, set the "
            "source's secret to the public key that it prints, and give --private-key FILE"
        )
    return _Signer(scheme, key, _make(scheme, private))


def _first_usable(source: Source) -> tuple[Scheme, bytes]:
    """Return the first scheme that one of the source's secrets is for, with its key; by it samples are signed."""
    pairs = ((scheme, next(filter(None, keys), b"")) for scheme, keys in zip(source.schemes, source.keys, strict=True))
    return next((pair for pair in pairs if pair[1]), (source.schemes[0], b""))


def _make(scheme: Scheme, private: str) -> Make:
    return lambda message: key_pairs.sign(scheme.method, scheme.algorithm, private, message)


def _send_off(
    source: Source, draft: Draft, signer: _Signer | None, *, url: str, now: int, spoil: Spoil
) -> SignedRequest:
    """Sign the draft, spoil it where asked for, and put it into the form in which it is sent."""
    if signer:
        filling.meet(draft, signer.scheme, source.params, draft.request(source.called_path, url, now))
    request = draft.request(source.called_path, url, now)
    if signer and spoil is not Spoil.UNSIGNED:
        request = _signed(source, request, signer, draft.fields)
    if signer and spoil is Spoil.TAMPERED:
        request = spoiling.tamper(request, signer.scheme)
    if source.provider.payload_field:
        request = wrap(request, source.provider.payload_field)
    return SignedRequest(draft.type, request.headers, request.body, request.query)


def _signed(source: Source, request: Request, signer: _Signer, fields: Mapping[str, str]) -> Request:
    text = _SIGNED_TEXTS.get(source.provider.name)
    if text:
        value = sign(replace(request, body=text(request)), signer.scheme, signer.key)
        return replace(request, headers=(*request.headers, (signer.scheme.header.lower(), value)))
    return signed_request(request, signer.scheme, signer.key, fields, params=source.params, make=signer.make)


# What is signed where a provider's scheme is written in Python.
_SIGNED_TEXTS = {contentful.PROVIDER.name: contentful.signed_text}
