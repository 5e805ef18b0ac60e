"""Secrets for development, of the form that each provider's have, so that samples can be signed with them."""

from __future__ import annotations

import base64
import secrets

from gateway import providers
from gateway.dev import key_pairs
from gateway.scheme import Scheme

SECRET_BYTES = 24


def demo_secret(provider: str) -> str:
    """Return a fresh secret of the form the provider uses; of a public key nobody keeps the private one."""
    if provider not in providers.names():
        return secrets.token_hex(SECRET_BYTES)
    known = providers.get(provider)
    if provider == "stripe":
        return f"whsec_{secrets.token_hex(16)}"
    return of_scheme(known.schemes[0]) if known.schemes else secrets.token_hex(SECRET_BYTES)


def key_pair_method(provider: str) -> str:
    """Return the method of a provider whose secret is a public key; empty for any other."""
    schemes = providers.get(provider).schemes if provider in providers.names() else ()
    return schemes[0].method if schemes and schemes[0].asymmetric else ""


def of_scheme(scheme: Scheme) -> str:
    """Return a fresh secret from which the scheme can make a key."""
    if scheme.asymmetric:
        return key_pairs.generate(scheme.method)[1]
    content = secrets.token_bytes(SECRET_BYTES)
    text = {"base64": base64.b64encode(content).decode()}.get(scheme.secret_encoding, content.hex())
    return f"{scheme.secret_prefix}{'user:' if scheme.method == 'basic' else ''}{text}"
