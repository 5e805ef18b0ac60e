"""What a verified request proved."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Proof:
    """Which secret verified (by index), the signed time (unix milliseconds) and id, and the signature's other fields.

    `signed` is what the signature is over; the body where the method signs nothing (token, basic).
    """

    secret: int | None = None
    timestamp: int | None = None
    id: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    signed: bytes = field(default=b"", repr=False)

    @property
    def digest(self) -> str:
        """The SHA-256 of the signed bytes, in hex; computed when asked for."""
        return hashlib.sha256(self.signed).hexdigest()
