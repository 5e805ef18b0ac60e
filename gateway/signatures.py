"""The one engine that checks (and makes) signatures of any scheme, over the bytes on the wire. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.errors import (
    HeaderMalformed,
    HeaderMissing,
    HeaderRepeated,
    SecretMissing,
    SignatureMalformed,
    SignatureMismatch,
    SignatureMissing,
    TimestampInFuture,
    TimestampMalformed,
    TimestampStale,
)
from gateway.model import Request
from gateway.scheme import Encoding, Scheme, TimestampUnit
from gateway.template import Placeholder

MAX_SIGNATURES = 16
MAX_HEADER_LENGTH = 4_096

_HEX = re.compile(r"[0-9a-fA-F]+")
_DIGITS = re.compile(r"[0-9]{1,15}")
_ISO8601 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?")


@dataclass(frozen=True, slots=True)
class Proof:
    """What a verified signature proved: which secret made it (by index) and the signed time and id where it has them.

    `timestamp` is unix milliseconds.
    """

    secret: int | None = None
    timestamp: int | None = None
    id: str = ""


def check(request: Request, scheme: Scheme, keys: Sequence[bytes], now: int) -> Proof:
    """Check the request's signature under `scheme` against every key; `now` is unix milliseconds.

    Raises a VerificationError that says which check failed, or SecretMissing when there is no usable key.
    The window is checked after the signature, so that a clock nobody signed decides nothing.
    """
    usable = [(index, key) for index, key in enumerate(keys) if key.strip(b"\0")]
    if not usable:
        raise SecretMissing("the source has no usable secret")
    fields, signatures = read_signatures(request, scheme)
    timestamp = locate(request, scheme.timestamp, fields)
    sent_at = parse_timestamp(timestamp, scheme.timestamp_unit) if scheme.timestamp else None
    delivery_id = locate(request, scheme.id, fields)
    message = _render(request, scheme, {"timestamp": timestamp, "id": delivery_id}, fields)
    matched = [index for index, key in usable if _matches(hmac.digest(key, message, scheme.algorithm), signatures)]
    if not matched:
        raise SignatureMismatch(f"{scheme.header} matches none of the {len(usable)} configured secrets")
    if sent_at is not None:
        require_recent(sent_at, now, scheme.tolerance_seconds, scheme.future_tolerance_seconds)
    return Proof(secret=matched[0], timestamp=sent_at, id=delivery_id)


def sign(request: Request, scheme: Scheme, key: bytes, fields: dict[str, str]) -> str:
    """Return the value of the signature header for a request that has all its other headers.

    `fields` are the other items of a key=value list, such as Stripe's `t`.
    """
    plain = {"timestamp": locate(request, scheme.timestamp, fields), "id": locate(request, scheme.id, fields)}
    digest = hmac.digest(key, _render(request, scheme, plain, fields), scheme.algorithm)
    signature = scheme.prefix + _encode(digest, scheme.encoding)
    if not scheme.assign:
        return signature
    items = [*fields.items(), (scheme.key, signature)]
    return scheme.separator.join(f"{key}{scheme.assign}{value}" for key, value in items)


def read_signatures(request: Request, scheme: Scheme) -> tuple[dict[str, str], list[bytes]]:
    """Return the other fields of the signature headers and the signatures, decoded.

    Raises SignatureMissing, SignatureMalformed, HeaderRepeated or HeaderMalformed.
    """
    fields: dict[str, str] = {}
    candidates: list[str] = []
    for name in scheme.headers:
        if value := _header(request, name, required=False):
            candidates += _read_items(value, scheme, fields)
    if not candidates:
        under = f" under {scheme.key!r}" if scheme.key else ""
        raise SignatureMissing(f"the request has no signature{under} in {scheme.header}")
    if len(candidates) > MAX_SIGNATURES:
        raise SignatureMalformed(f"{scheme.header} holds more than {MAX_SIGNATURES} signatures")
    size = hashlib.new(scheme.algorithm, usedforsecurity=False).digest_size
    signatures = [s for c in candidates if (s := _decode(c, scheme)) is not None and len(s) == size]
    if not signatures:
        raise SignatureMalformed(
            f"{scheme.header} holds no {scheme.prefix + ' and ' if scheme.prefix else ''}"
            f"{size}-byte {scheme.algorithm} digest in {scheme.encoding}"
        )
    return fields, signatures


def parse_timestamp(text: str, unit: TimestampUnit) -> int:
    """Return unix milliseconds; ISO 8601 without an offset is UTC.

    Raises TimestampMalformed for anything but the strict grammar of `unit`.
    """
    try:
        if unit == "iso8601" and _ISO8601.fullmatch(text):
            moment = datetime.fromisoformat(text)
            return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
        if unit != "iso8601" and _DIGITS.fullmatch(text):
            return int(text) * (1000 if unit == "s" else 1)
    except (ValueError, OverflowError) as error:
        raise TimestampMalformed("the signed timestamp is not a date that exists") from error
    raise TimestampMalformed(f"the signed timestamp is not written in {unit!r} as configured")


def require_recent(sent_at: int, now: int, tolerance: int, future_tolerance: int | None = None) -> None:
    """Refuse a signed time outside the window; times in unix milliseconds, tolerances in seconds."""
    ahead = future_tolerance if future_tolerance is not None else tolerance
    if now - sent_at > tolerance * 1000:
        raise TimestampStale(
            f"the signed timestamp is {(now - sent_at) // 1000} s behind this host's clock and {tolerance} s are "
            "allowed; check this host's clock, and whether something replays or holds back old requests"
        )
    if sent_at - now > ahead * 1000:
        raise TimestampInFuture(
            f"the signed timestamp is {(sent_at - now) // 1000} s ahead of this host's clock and {ahead} s are "
            "allowed; check this host's clock and the scheme's timestamp_unit"
        )


def _read_items(value: str, scheme: Scheme, fields: dict[str, str]) -> list[str]:
    """Return the candidate signatures of one header value, adding its other fields to `fields`."""
    items = value.split(scheme.separator) if scheme.separator else [value]
    candidates = []
    for item in items:
        text = item.strip() if scheme.trim else item
        key, found, content = text.partition(scheme.assign) if scheme.assign else ("", "", text)
        if key == scheme.key and content.startswith(scheme.prefix):
            candidates.append(content.removeprefix(scheme.prefix))
        elif found and key != scheme.key:
            # A repeated field is unusable: two readers could each take another one.
            fields[key] = "" if key in fields else content
    return candidates


def _matches(digest: bytes, signatures: list[bytes]) -> bool:
    """Compare with every signature, without an early exit."""
    return bool(sum([hmac.compare_digest(digest, signature) for signature in signatures]))


def _render(request: Request, scheme: Scheme, plain: dict[str, str], fields: dict[str, str]) -> bytes:
    """Return the signed content of the request."""
    out: list[bytes] = []
    for part, following in zip(scheme.parts, [*scheme.parts[1:], ""], strict=True):
        match part:
            case str():
                out.append(part.encode())
            case Placeholder(kind="body"):
                out.append(request.body)
            case Placeholder(kind="url" | "method"):
                out.append(getattr(request, part.kind).encode())
            case Placeholder():
                text = plain[part.kind] if part.kind in plain else locate(request, part.place, fields)
                # A timestamp's own grammar keeps it from running into what follows.
                is_timestamp = part.kind == "timestamp" or part.place.lower() == scheme.timestamp.lower()
                if isinstance(following, str) and following and following in text and not is_timestamp:
                    raise HeaderMalformed(f"{part.kind} holds {following!r}, which separates it from what follows")
                out.append(text.encode())
    return b"".join(out)


def locate(request: Request, where: str, fields: dict[str, str]) -> str:
    """Return the text at `header:<name>` or `sig:<key>`; empty when `where` is."""
    kind, _, name = where.partition(":")
    if kind == "sig":
        if not fields.get(name):
            raise SignatureMalformed(f"the signature header does not hold {name!r} exactly once")
        return fields[name]
    return _header(request, name.lower(), required=True) if kind else ""


def _header(request: Request, name: str, *, required: bool) -> str:
    """Return the value of a header that decides something: once, printable ASCII, of sane length."""
    values = request.values(name)
    if not values and required:
        raise HeaderMissing(f"the header {name} is missing")
    if len(values) > 1:
        raise HeaderRepeated(f"the header {name} occurs {len(values)} times; a proxy may have joined two requests")
    value = values[0] if values else ""
    if not (value.isascii() and value.isprintable()) or len(value) > MAX_HEADER_LENGTH:
        raise HeaderMalformed(f"the header {name} is not printable ASCII of at most {MAX_HEADER_LENGTH} characters")
    if required and not value:
        raise HeaderMissing(f"the header {name} is empty")
    return value


def _encode(digest: bytes, encoding: Encoding) -> str:
    match encoding:
        case "hex":
            return digest.hex()
        case "base64":
            return base64.b64encode(digest).decode()
        case "base64url":
            return base64.urlsafe_b64encode(digest).decode()
        case "base64_of_hex":
            return base64.b64encode(digest.hex().encode()).decode()


def _decode(text: str, scheme: Scheme) -> bytes | None:
    """Decode strictly: one alphabet and one spelling per digest (padding may be left out of base64url)."""
    if scheme.encoding == "hex":
        return bytes.fromhex(text) if _HEX.fullmatch(text) and len(text) % 2 == 0 else None
    padded = text + "=" * (-len(text) % 4) if scheme.encoding == "base64url" else text
    altchars = b"-_" if scheme.encoding == "base64url" else b"+/"
    try:
        decoded = base64.b64decode(padded, altchars=altchars, validate=True)
    except ValueError:
        return None
    return decoded if base64.b64encode(decoded, altchars=altchars).decode() == padded else None
