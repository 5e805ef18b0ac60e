"""The declarative signature scheme: how one sender signs, as data that is checked when it is made. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

Algorithm = Literal["sha256", "sha1", "sha384", "sha512", "md5"]
Encoding = Literal["hex", "base64", "base64url"]
TimestampUnit = Literal["s", "ms", "iso8601"]
SecretEncoding = Literal["utf8", "base64", "hex"]

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_PLAIN = {"body", "timestamp", "id", "url", "method"}

Part = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Scheme:
    """How one sender signs, as data. Every field is a key of `[sources.<name>.signature]`.

    The value of `header` (or of one in `also`) is split at `separator` into items and each item at the first `assign`
    into key and value; values under `key` are signatures and the others are `{sig:<key>}`. Without `assign` every item
    is a signature. `signed` is the signed content: literals and `{body}`, `{timestamp}`, `{id}`, `{header:<name>}`,
    `{sig:<key>}`, `{url}`, `{method}`. `timestamp` and `id` are `header:<name>` or `sig:<key>`. A secret is read as
    `secret_encoding` after `secret_prefix`; without that prefix as `secret_otherwise`, where that is set.

    Raises ValueError, with a sentence, when it cannot be evaluated.
    """

    header: str
    also: tuple[str, ...] = ()
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    separator: str = ""
    assign: str = ""
    key: str = ""
    trim: bool = False
    signed: str = "{body}"
    timestamp: str = ""
    timestamp_unit: TimestampUnit = "s"
    tolerance_seconds: int = 300
    future_tolerance_seconds: int | None = None
    id: str = ""
    secret_encoding: SecretEncoding = "utf8"  # noqa: S105 - an encoding, not a secret
    secret_prefix: str = ""
    secret_otherwise: Literal["", "utf8"] = ""
    parts: tuple[Part, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in (self.header, *self.also):
            _require_header_name(name)
        if bool(self.assign) != bool(self.key):
            raise ValueError("assign and key belong together: assign splits an item, key names the signatures")
        for where in (self.timestamp, self.id):
            _check_where(where, self.assign)
        object.__setattr__(self, "parts", self._compile())

    def _compile(self) -> tuple[Part, ...]:
        """Split `signed` into literals and placeholders."""
        parts: list[Part] = []
        end = 0
        for match in _PLACEHOLDER.finditer(self.signed):
            parts += [("", self.signed[end : match.start()]), self._placeholder(match[1])]
            end = match.end()
        parts.append(("", self.signed[end:]))
        if any("{" in text or "}" in text for kind, text in parts if not kind):
            raise ValueError("signed has a brace that opens or closes no placeholder")
        if ("body", "") not in parts:
            raise ValueError("signed leaves out {body}, so anyone could change the body")
        return tuple(part for part in parts if part != ("", ""))

    def _placeholder(self, text: str) -> Part:
        kind, _, name = text.partition(":")
        if kind in _PLAIN and not name:
            if kind in {"timestamp", "id"} and not getattr(self, kind):
                raise ValueError(f"signed uses {{{kind}}} but {kind} does not say where it is")
            return kind, ""
        if kind == "header":
            _require_header_name(name)
            return kind, name.lower()
        if kind == "sig" and name and self.assign:
            return kind, name
        raise ValueError(
            f"signed has the unknown placeholder {{{text}}}; known are {{body}}, {{timestamp}}, {{id}}, "
            "{header:<name>}, {sig:<key>} (with assign), {url} and {method}"
        )

    def decode_key(self, secret: str) -> bytes:
        """Return the HMAC key that `secret` stands for. Raises ValueError, with a sentence that does not hold it."""
        text = secret.removeprefix(self.secret_prefix)
        bare = bool(self.secret_otherwise) and not secret.startswith(self.secret_prefix)
        match "utf8" if bare else self.secret_encoding:
            case "utf8":
                key = text.encode()
            case "hex":
                key = _decode_secret(binascii.unhexlify, text, "hex")
            case "base64":
                padded = text.rstrip("=").translate(str.maketrans("-_", "+/"))
                padded += "=" * (-len(padded) % 4)
                key = _decode_secret(lambda t: base64.b64decode(t, validate=True), padded, "base64")
        if not key.strip(b"\0"):
            raise ValueError("the secret is empty")
        return key

    @property
    def headers(self) -> tuple[str, ...]:
        """The names of the headers that may carry the signature, lower case."""
        return tuple(name.lower() for name in (self.header, *self.also))


def _decode_secret(decode: Callable[[str], bytes], text: str, encoding: str) -> bytes:
    try:
        return decode(text)
    except ValueError as error:
        raise ValueError(f"the secret is not {encoding}") from error


def _require_header_name(name: str) -> None:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a header name")


def _check_where(where: str, assign: str) -> None:
    kind, _, name = where.partition(":")
    if where and (kind not in {"header", "sig"} or not name):
        raise ValueError(f"{where!r} is neither header:<name> nor sig:<key>")
    if kind == "header":
        _require_header_name(name)
    if kind == "sig" and not assign:
        raise ValueError(f"{where!r} needs assign and key, which split the signature header into fields")
