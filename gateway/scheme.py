"""The declarative signature scheme: how one sender signs, as data that is checked when it is made. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from gateway import coverage, scheme_rules
from gateway.template import Part, Placeholder, locator, parse, placeholders

Method = Literal["hmac", "hash", "token", "basic", "ed25519", "ecdsa-p256", "rsa-pkcs1", "rsa-pss", "jwt-hs256"]
Algorithm = Literal["sha256", "sha1", "sha384", "sha512", "md5"]
Encoding = Literal["hex", "base64", "base64url", "base64_of_hex"]
TimestampUnit = Literal["s", "ms", "iso8601", "http_date"]
SecretEncoding = Literal["utf8", "base64", "hex"]

ASYMMETRIC = frozenset({"ed25519", "ecdsa-p256", "rsa-pkcs1", "rsa-pss"})
SHORT_KEY_BYTES = 16
# Zendesk signs the deliveries of unsaved webhooks with it: https://developer.zendesk.com/documentation/webhooks/verifying/
_PUBLISHED = frozenset({"dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="})


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one sender signs, as data. Every field is a key of `[sources.<name>.signature]`; docs/signatures.md has them.

    The value of `header` (or of one in `also`, or of what is `at` another place) is split at `separator` into items
    and each item at the first `assign` into key and value; values under `key` are signatures and the others are
    `{sig:<key>}`, as are the leading items that `positional` names. Without `assign` every other item is a signature.
    `signed` and both sides of `require` are templates. `timestamp` and `id` are locators.

    Raises ValueError, with a sentence, when it cannot be evaluated.
    """

    header: str = ""
    also: tuple[str, ...] = ()
    numbered: int = 0
    at: str = ""
    method: Method = "hmac"
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    separator: str = ""
    assign: str = ""
    key: str = ""
    trim: bool = False
    positional: tuple[str, ...] = ()
    signed: str = "{body}"
    timestamp: str = ""
    timestamp_unit: TimestampUnit = "s"
    tolerance_seconds: int = 300
    future_tolerance_seconds: int | None = None
    id: str = ""
    require: tuple[tuple[str, str], ...] = ()
    secret_encoding: SecretEncoding = "utf8"  # noqa: S105 - an encoding, not a secret
    secret_prefix: str = ""
    secret_otherwise: Literal["", "utf8"] = ""
    secret_hash: Literal["", "sha1", "sha256"] = ""
    secret_suffix: str = ""
    secret_normalize: Literal["", "NFKD"] = ""
    each: str = ""
    signed_encoding: Literal["wire", "decoded"] = "wire"
    claim: str = ""
    url_claim: str = ""
    parts: tuple[Part, ...] = field(init=False, repr=False, compare=False)
    requirements: tuple[tuple[tuple[Part, ...], tuple[Part, ...]], ...] = field(init=False, repr=False, compare=False)
    headers: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "also", tuple(self.also))
        put(self, "positional", tuple(self.positional))
        put(self, "require", tuple((left, right) for left, right in self.require))
        if self.method == "basic" and not self.header:
            put(self, "header", "Authorization")
        put(self, "parts", parse(self.signed, "signed"))
        put(
            self,
            "requirements",
            tuple((parse(left, "require"), parse(right, "require")) for left, right in self.require),
        )
        put(self, "headers", self._header_names())
        scheme_rules.check(self)

    def _header_names(self) -> tuple[str, ...]:
        """Return the names of the headers that may carry the signature, lower case."""
        numbered = [f"{self.header}-{number}" for number in range(1, self.numbered + 1)]
        names = [*numbered, *self.also] if self.numbered else [self.header, *self.also]
        return tuple(name.lower() for name in names if name)

    @property
    def carrier(self) -> str:
        """Where the signature is, as a sentence names it: the header's name, or the locator."""
        return self.header or self.at

    @property
    def asymmetric(self) -> bool:
        """Whether the configured secret is a public key."""
        return self.method in ASYMMETRIC

    @property
    def signs(self) -> bool:
        """Whether the sender signs, rather than show that it knows the secret."""
        return self.method not in {"token", "basic"}

    @property
    def params(self) -> frozenset[str]:
        """The names of the operator's constants that the scheme uses, `{param:<name>}`."""
        key = parse(self.key, "key") if scheme_rules.PARAM.fullmatch(self.key) else ()
        return frozenset(place.name for place in (*self.placeholders(), *placeholders(key)) if place.kind == "param")

    def placeholders(self) -> tuple[Placeholder, ...]:
        """Return every placeholder of `signed` and `require`."""
        sides = [side for pair in self.requirements for side in pair]
        return tuple(place for parts in (self.parts, *sides) for place in placeholders(parts))

    @property
    def signs_url(self) -> bool:
        """Whether the URL that the sender calls is part of what is signed, so that it must be configured."""
        return bool(self.url_claim) or any(place.kind in {"url", "url_base"} for place in self.placeholders())

    @property
    def covers_body(self) -> bool:
        """Whether no byte of the body can be changed without the signature failing.

        Where it cannot, equal signed bytes do not mean equal bodies.
        """
        return coverage.covers_body(self)

    def authenticates(self, where: str) -> bool:
        """Tell whether the value at a locator, or at a template of locators, is part of the signed bytes."""
        places = [*placeholders(parse(where, "the locator"))] if "{" in where else [locator(where)]
        return bool(places) and all(coverage.covers(self, place) for place in places)

    def decode_key(self, secret: str) -> bytes:
        """Return the key that `secret` stands for: the HMAC key, the token, or the public key's text.

        Raises ValueError with a sentence that does not hold it.
        """
        text = secret.removeprefix(self.secret_prefix)
        bare = bool(self.secret_otherwise) and not secret.startswith(self.secret_prefix)
        if self.secret_normalize:
            text = unicodedata.normalize(self.secret_normalize, text)
        key = _decode_secret(text, "utf8" if bare else self.secret_encoding)
        if not key.strip(b"\0"):
            raise ValueError("the secret is empty")
        if secret in _PUBLISHED:
            raise ValueError("the secret is one that its vendor publishes for tests, so anyone can sign with it")
        if self.method == "basic" and b":" not in key:
            raise ValueError("the secret is not user:password, which HTTP Basic takes")
        if self.method in ASYMMETRIC:
            from gateway import public_keys  # noqa: PLC0415 - its library is loaded only where there is a public key

            public_keys.load(self.method, self.algorithm, key.decode())
        key += self.secret_suffix.encode()
        if self.secret_hash:
            return hashlib.new(self.secret_hash, key, usedforsecurity=False).digest()
        return key


def _decode_secret(text: str, encoding: SecretEncoding) -> bytes:
    decoders: dict[SecretEncoding, Callable[[str], bytes]] = {
        "utf8": str.encode,
        "hex": binascii.unhexlify,
        "base64": _decode_base64,
    }
    try:
        return decoders[encoding](text)
    except ValueError as error:
        raise ValueError(f"the secret is not {encoding}") from error


def _decode_base64(text: str) -> bytes:
    """Decode either alphabet, padded or not, as people paste both."""
    padded = text.rstrip("=").translate(str.maketrans("-_", "+/"))
    return base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True)
