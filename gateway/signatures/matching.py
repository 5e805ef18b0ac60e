"""Compare what a request carries with what each secret would make, one function per method."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence

from gateway.rejections import SignatureMalformed
from gateway.scheme import Scheme
from gateway.signatures.carrier import compile_decode, decoder
from gateway.signatures.keyed import Keyed
from gateway.signatures.received import Received
from gateway.signatures.render import compile_template, encode

Match = Callable[[Received, list[str]], int | None]
"""Return the index of the secret that made one of the candidates, and leave what is signed in `received.message`."""

Keys = Sequence[tuple[int, bytes]]
"""The usable keys, each with its index among all."""

_BASIC = re.compile(r"[Bb]asic +([A-Za-z0-9+/=]+)")


def compile_match(scheme: Scheme, keys: Keys, params: Mapping[str, str]) -> Match:
    """Return the comparison of a scheme's method. Raises ValueError, with a sentence, for an unusable public key."""
    match scheme.method:
        case "token":
            return _token(keys)
        case "basic":
            return _basic(keys)
        case "hash":
            return _hash(scheme, keys, params)
        case "hmac":
            return _hmac(scheme, keys, params)
    return _asymmetric(scheme, keys, params)


def _hmac(scheme: Scheme, keys: Keys, params: Mapping[str, str]) -> Match:
    decode, render = compile_decode(scheme), compile_template(scheme.parts, scheme, params)
    keyed = [(index, Keyed(key, scheme.algorithm).code) for index, key in keys]
    index_of_first, first_code = keyed[0]

    def match(received: Received, candidates: list[str]) -> int | None:
        signatures = decode(candidates)
        message = received.message = render(received)
        if len(keyed) == 1:
            return index_of_first if is_any(first_code(message), signatures) else None
        return first([index for index, code in keyed if is_any(code(message), signatures)])

    return match


def _hash(scheme: Scheme, keys: Keys, params: Mapping[str, str]) -> Match:
    decode, render = compile_decode(scheme), compile_template(scheme.parts, scheme, params)

    def made_with(received: Received, key: bytes) -> bytes:
        received.secret = key
        return hashlib.new(scheme.algorithm, render(received), usedforsecurity=False).digest()

    def match(received: Received, candidates: list[str]) -> int | None:
        signatures = decode(candidates)
        found = [index for index, key in keys if is_any(made_with(received, key), signatures)]
        # With the secret in it, the SHA-256 of the message could be a valid signature.
        received.secret = b""
        received.message = render(received)
        return first(found)

    return match


def _token(keys: Keys) -> Match:
    def match(received: Received, candidates: list[str]) -> int | None:
        received.message = received.body
        texts = [encode(text) for text in candidates]
        return first([index for index, key in keys if is_any(key, texts)])

    return match


def _basic(keys: Keys) -> Match:
    def match(received: Received, candidates: list[str]) -> int | None:
        received.message = received.body
        credentials = [_credentials(text) for text in candidates]
        return first([index for index, key in keys if is_any(key, credentials)])

    return match


def _credentials(value: str) -> bytes:
    """https://www.rfc-editor.org/rfc/rfc7617."""
    found = _BASIC.fullmatch(value)
    credentials = decoder("base64")(found[1]) if found else None
    if credentials is None:
        raise SignatureMalformed("the Authorization header does not hold the base64 of HTTP Basic")
    return credentials


def _asymmetric(scheme: Scheme, keys: Keys, params: Mapping[str, str]) -> Match:
    from gateway import public_keys  # noqa: PLC0415 - its library is loaded only where a source has a public key

    decode, render = compile_decode(scheme), compile_template(scheme.parts, scheme, params)
    verifiers = [(index, public_keys.load(scheme.method, scheme.algorithm, key.decode())) for index, key in keys]

    def match(received: Received, candidates: list[str]) -> int | None:
        signatures = decode(candidates)
        message = received.message = render(received)
        return first([index for index, verify in verifiers if any(verify(message, one) for one in signatures)])

    return match


def is_any(expected: bytes, given: Sequence[bytes]) -> bool:
    """Compare with every value in constant time, without an early exit."""
    if len(given) == 1:
        return hmac.compare_digest(expected, given[0])
    equal = False
    for value in given:
        equal = hmac.compare_digest(expected, value) or equal
    return equal


def first(indexes: Sequence[int]) -> int | None:
    """Return the first of the secrets that matched."""
    return indexes[0] if indexes else None
