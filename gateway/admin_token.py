"""The admin listener's token: made at random, known to gateway.toml by its digest alone. Pure but for the random bits.

A token has 256 random bits, so that its SHA-256 cannot be undone by guessing and needs neither salt nor a slow hash.
https://cheatsheetseries.owasp.org/cheatsheets/Session_Management_Cheat_Sheet.html#session-id-entropy
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

PREFIX = "gwadm_"

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def make() -> str:
    """Return a new token."""
    return PREFIX + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """Return what the configuration keeps of a token."""
    return "sha256:" + hashlib.sha256(token.encode(errors="replace")).hexdigest()


def is_digest(text: str) -> bool:
    """Tell whether a text is written as `digest` writes it."""
    return _DIGEST.fullmatch(text) is not None


def matches(kept: str, token: str) -> bool:
    """Tell whether a token is the one whose digest was kept, in a time that depends on neither."""
    return hmac.compare_digest(digest(token), kept)
