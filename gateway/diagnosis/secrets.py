"""Whose secret made a signature, and in which form: other sources', other spellings, other kinds. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from gateway.diagnosis.findings import Case, Cause, Finding
from gateway.diagnosis.tries import fits, key_of, schemes_of

MAX_SECRETS = 200

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_SLACK_SIGNING_SECRET = re.compile(r"[0-9a-f]{32}")
_SLACK_TOKENS = {"xoxb-": "a bot token", "xoxp-": "a user token", "xapp-": "an app-level token", "xoxe": "a token"}


def of_another_source(case: Case) -> Iterator[Finding]:
    """Find another source whose secret made this signature."""
    tried = 0
    for other in case.sources.values():
        if other.name == case.source.name:
            continue
        for index, secret in enumerate(other.secrets):
            tried += 1
            if tried > MAX_SECRETS:
                return
            if any(
                fits(case.request, scheme, key_of(scheme, secret), case.source) for scheme, _ in schemes_of(case.source)
            ):
                yield _other_secret(case, other.name, index)
                return


def _other_secret(case: Case, other: str, index: int) -> Finding:
    return Finding(
        Cause.OTHER_SECRET,
        f"the signature was made with secrets[{index}] of source {other}, so {case.title} sends what belongs to "
        f"{other} to the URL of {case.source.name}, or the two secrets were swapped",
        f"register /webhooks/{other} for it, or give {case.source.name} the secret of this endpoint",
        proven=True,
    )


def meant_for_another_source(case: Case) -> Iterator[Finding]:
    """Find another source that would have taken the request as it is."""
    for other in case.sources.values():
        if other.name != case.source.name and any(
            fits(case.request, scheme, keys, other) for scheme, keys in schemes_of(other)
        ):
            yield Finding(
                Cause.OTHER_SOURCE,
                f"the request is one of source {other.name} ({other.provider.name}), sent to the URL of "
                f"{case.source.name}",
                f"register /webhooks/{other.name} where {other.provider.name} sends from",
                proven=True,
            )
            return


def in_another_form(case: Case) -> Iterator[Finding]:
    """Find another spelling of a configured secret that makes the signature."""
    for scheme, keys in schemes_of(case.source):
        for index, secret in enumerate(case.source.secrets):
            for form, remedy, key in _spellings(secret):
                if key and key not in keys and fits(case.request, scheme, [key], case.source):
                    sentence = f"the signature fits secrets[{index}] {form}, which is not how it is configured"
                    yield Finding(Cause.SECRET_FORM, sentence, remedy, proven=True)
                    return


def _spellings(secret: str) -> Iterator[tuple[str, str, bytes]]:
    """Yield what a secret may stand for: how it is read, what to do, and the key."""
    copy = "store the secret exactly as the sender shows it"
    text = 'it is text: set signature.secret_encoding = "utf8" and leave signature.secret_prefix out'
    yield "taken as text with everything before it", text, secret.encode()
    bare = secret.partition("_")[2] if secret.startswith(("whsec_", "whpk_")) else secret
    yield "without whsec_", 'set signature.secret_prefix = "whsec_"', bare.encode()
    yield "with whsec_ before it", "store the secret with its whsec_", b"whsec_" + secret.encode()
    yield "without the quotes around it", "take the quotes off the stored secret", secret.strip("\"'").encode()
    yield "with a line end after it", "the sender's own copy ends in a line end; enter it there again", _line(secret)
    yield (
        "with a CRLF after it",
        "the sender's own copy ends in a line end; enter it there again",
        _line(secret, "\r\n"),
    )
    yield "with a blank after it", "the sender's own copy ends in a blank; enter it there again", _line(secret, " ")
    yield "in lower case", copy, secret.lower().encode()
    yield "in upper case", copy, secret.upper().encode()
    yield "decoded from base64", 'set signature.secret_encoding = "base64"', _from_base64(bare)
    yield "decoded from hex", 'set signature.secret_encoding = "hex"', _from_hex(bare)


def _line(secret: str, end: str = "\n") -> bytes:
    return (secret + end).encode()


def _from_base64(text: str) -> bytes:
    if not _BASE64.fullmatch(text):
        return b""
    bare = text.rstrip("=")
    try:
        return base64.urlsafe_b64decode(bare.replace("+", "-").replace("/", "_") + "=" * (-len(bare) % 4))
    except (ValueError, binascii.Error):
        return b""


def _from_hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def of_another_kind(case: Case) -> Iterator[Finding]:
    """Tell a configured secret that does not look like one of its provider."""
    for index, secret in enumerate(case.source.secrets):
        if kind := _other_kind(case, secret):
            yield Finding(
                Cause.SECRET_KIND,
                f"secrets[{index}] looks like {kind}, not like what {case.title} signs with",
                f"copy it from {case.source.provider.secret_at}",
            )


def _other_kind(case: Case, secret: str) -> str | None:
    if case.source.provider.name == "slack":
        token = next((kind for start, kind in _SLACK_TOKENS.items() if secret.startswith(start)), None)
        looks_right = _SLACK_SIGNING_SECRET.fullmatch(secret)
        return token or (None if looks_right else "something else than a Signing Secret, which has 32 hex digits")
    if case.source.provider.secret_fault and case.source.provider.secret_fault(secret):
        return "something else"
    return None
