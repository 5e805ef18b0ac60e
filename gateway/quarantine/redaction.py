"""What may be kept of a request nobody vouches for: names, lengths, looks, and harmless values. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_HEADERS = 64
MAX_NAME = 64
MAX_VALUE = 200

# Everything else is kept as its shape alone, since any header may hold a token.
_HARMLESS = frozenset(
    {
        "accept", "accept-encoding", "cache-control", "connection", "content-encoding", "content-length",
        "content-type", "date", "host", "transfer-encoding", "user-agent", "via", "x-forwarded-host",
        "x-forwarded-port", "x-forwarded-proto", "x-slack-request-timestamp", "x-slack-retry-num",
        "x-slack-retry-reason", "x-github-event", "x-github-delivery", "x-shopify-topic", "webhook-timestamp",
        "svix-timestamp",
    }
)  # fmt: skip
_ITEMS = re.compile(r"[,; ]+")
_PREFIX = re.compile(
    r"(?:t|ts|v0|v1|v1a|v2|s|h|sig|signature|hmac|md5|sha1|sha256|sha384|sha512|hmac-sha1|hmac-sha256)[=,:]",
    re.IGNORECASE,
)
_KINDS = (
    ("digits", re.compile(r"[0-9]+")),
    ("hex digits", re.compile(r"[0-9a-fA-F]+")),
    ("base64 characters", re.compile(r"[A-Za-z0-9+/]+={0,2}")),
    ("base64url characters", re.compile(r"[A-Za-z0-9_-]+={0,2}")),
    ("printable characters", re.compile(r"[\x20-\x7e]*")),
)
_MOST_ITEMS = 8
_SCHEMES = ("basic", "bearer", "hmac", "token", "digest", "signature")


def redact(headers: Sequence[tuple[str, str]], secrets: Sequence[str]) -> list[tuple[str, str]]:
    """Return the headers in order, each value as it is only where it is harmless, else as its shape in brackets."""
    kept = []
    for name, value in headers[:MAX_HEADERS]:
        harmless = name in _HARMLESS and value.isprintable() and not any(secret in value for secret in secrets)
        kept.append((_printable(name)[:MAX_NAME], value[:MAX_VALUE] if harmless else f"[{shape(value)}]"))
    return kept


def names_only(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the headers' names in order, without their values."""
    return [(_printable(name)[:MAX_NAME], "") for name, _ in headers[:MAX_HEADERS]]


def shape(value: str) -> str:
    """Describe a value by the lengths, the known prefixes and the alphabets of its items: `sha256= 64 hex digits`."""
    scheme, _, rest = value.partition(" ")
    before = f"{scheme} " if scheme.lower() in _SCHEMES else ""
    items = _ITEMS.split(rest if before else value)
    told = ", ".join(_item(item) for item in items[:_MOST_ITEMS])
    return before + told + (f" and {len(items) - _MOST_ITEMS} more" if len(items) > _MOST_ITEMS else "")


def _item(text: str) -> str:
    prefix = _PREFIX.match(text)
    rest = text[prefix.end() :] if prefix else text
    kind = next((kind for kind, pattern in _KINDS if pattern.fullmatch(rest)), "characters")
    return f"{prefix[0] + ' ' if prefix else ''}{len(rest)} {kind}"


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)
