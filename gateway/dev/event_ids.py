"""The event API's own ids: ULIDs, random or derived from the request's seed. Pure.

https://github.com/ulid/spec and the header `x-inngest-event-id-seed: <unix ms>,<base64 of 10 bytes>`.
"""

from __future__ import annotations

import base64
import binascii
import re

RANDOM_BYTES = 10

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 26
_MAX_TIME = 2**48 - 1
_SEED = re.compile(r"\+?([0-9]+),([^,]*)")


def ulid(milliseconds: int, randomness: bytes) -> str:
    """Return the ULID of a time (unix milliseconds) and ten bytes."""
    number = milliseconds << 8 * RANDOM_BYTES | int.from_bytes(randomness, "big")
    return "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(_LENGTH)))


def seeded(seed: str, index: int) -> str | None:
    """Return the id of the request's `index`-th event (from 1) under a seed, or None when the seed is malformed.

    The index is added to the last four bytes, so an id depends on the event's position in the request.
    """
    match = _SEED.fullmatch(seed)
    if match is None or not 0 < int(match[1]) <= _MAX_TIME:
        return None
    try:
        entropy = base64.b64decode(match[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(entropy) != RANDOM_BYTES:
        return None
    last = (int.from_bytes(entropy[6:], "big") + index) % 2**32
    return ulid(int(match[1]), entropy[:6] + last.to_bytes(4, "big"))
