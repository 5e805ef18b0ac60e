"""What a verified request proved."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

_NONE: Mapping[str, str] = MappingProxyType({})


class Proof(NamedTuple):
    """Which secret verified (by index), the signed time (unix milliseconds) and id, and the signature's other fields.

    `signed` is what the signature is over; the body where the method signs nothing (token, basic).
    """

    secret: int | None = None
    timestamp: int | None = None
    id: str = ""
    fields: Mapping[str, str] = _NONE
    signed: bytes = b""

    def __repr__(self) -> str:
        return f"Proof(secret={self.secret}, timestamp={self.timestamp}, id={self.id!r})"

    @property
    def digest(self) -> str:
        """The SHA-256 of the signed bytes, in hex; computed when asked for."""
        return hashlib.sha256(self.signed).hexdigest()
