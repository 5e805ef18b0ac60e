"""HMAC with the key mixed in once."""

from __future__ import annotations

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.signatures.keyed import Keyed

ALGORITHMS = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")


@given(st.binary(max_size=300), st.binary(max_size=200), st.sampled_from(ALGORITHMS))
def test_it_makes_what_the_library_makes(key: bytes, message: bytes, algorithm: str) -> None:
    """Keys shorter than a block, as long and longer, and again with the same object."""
    keyed = Keyed(key, algorithm)
    expected = hmac.digest(key, message, algorithm)
    assert (keyed.code(message), keyed.code(message)) == (expected, expected)


@pytest.mark.parametrize("size", [0, 2046, 2047, 2048, 4094, 4095, 32_768, 32_769, 100_000])
def test_messages_around_the_sizes_of_pieces(size: int) -> None:
    """A message is hashed in pieces or at once, and that is not to be seen."""
    message = bytes(range(256)) * (size // 256 + 1)
    assert Keyed(b"key", "sha256").code(message[:size]) == hmac.digest(b"key", message[:size], "sha256")
