"""Text as PostgreSQL can keep it: everything but NUL, which is written in another way. Pure."""

from __future__ import annotations

import hashlib

LONGEST_NAME = 500

_NUL = "\x00"
# SUBSTITUTE, which hardly anyone sends, and which is doubled where someone does.
_MARK = "\x1a"


def kept(text: str) -> str:
    """Return the text as it is stored: different texts stay different, and almost every text stays as it is."""
    if _NUL not in text and _MARK not in text:
        return text
    return text.replace(_MARK, _MARK + "1").replace(_NUL, _MARK + "0")


def told(text: str) -> str:
    """Return the text that was stored."""
    if _MARK not in text:
        return text
    return text.replace(_MARK + "0", _NUL).replace(_MARK + "1", _MARK)


def name(text: str) -> str:
    """Return what an id is called in a unique index, which takes less than 3 kB: itself, or a hash where it is long."""
    stored = kept(text)
    if len(stored) <= LONGEST_NAME:
        return stored
    return f"{_MARK}#{hashlib.sha256(stored.encode()).hexdigest()}"


def is_whole(stored: str) -> bool:
    """Tell whether a name is the id itself."""
    return not stored.startswith(f"{_MARK}#")
