"""HMAC with a key that is mixed in once, for messages that are hashed beside other threads. Pure."""

from __future__ import annotations

import hashlib

# From so many bytes on hashlib lets other threads run meanwhile. Of a few kilobytes the hashing is done before one of
# them has woken up, and then the hand-over and back takes three times as long as the hash.
_GIVES_WAY_AT = 2_048
_LARGE = 32_768

_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))


class Keyed:
    """HMAC of one key under an algorithm of hashlib: https://www.rfc-editor.org/rfc/rfc2104.

    It makes what `hmac.digest` makes, without looking up the algorithm and mixing in the key for every message.
    """

    def __init__(self, key: bytes, algorithm: str) -> None:
        block = hashlib.new(algorithm).block_size
        padded = (hashlib.new(algorithm, key).digest() if len(key) > block else key).ljust(block, b"\0")
        self._inner = hashlib.new(algorithm, padded.translate(_INNER))
        self._outer = hashlib.new(algorithm, padded.translate(_OUTER))

    def code(self, message: bytes) -> bytes:
        """Return the message's authentication code."""
        inner, outer = self._inner.copy(), self._outer.copy()
        if len(message) > _LARGE:
            inner.update(message)
        else:
            for begin in range(0, len(message), _GIVES_WAY_AT - 1):
                inner.update(message[begin : begin + _GIVES_WAY_AT - 1])
        outer.update(inner.digest())
        return outer.digest()
