"""The two outside witnesses: what providers were answered and what the event API accepted, in append-only files."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

Kind = Literal["genuine", "tampered", "stale"]


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that a provider made; `status` is None where no answer came. `payload` is its digest."""

    source: str
    delivery: str
    payload: str
    kind: Kind
    status: int | None

    @property
    def acknowledged(self) -> bool:
        """Whether the provider was answered 2xx."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own borders

    @property
    def genuinely_acknowledged(self) -> bool:
        """Whether the gateway has made its promise for what the provider really sent."""
        return self.kind == "genuine" and self.acknowledged


@dataclass(frozen=True, slots=True)
class Accepted:
    """An event that the event API accepted: the digests of its bytes and of its data, its request and the seed."""

    event: str
    sha256: str
    payload: str
    request: int
    seed: str


class Journal:
    """A file of one JSON object a line, written by appending whole lines and read back as it stands on disk."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(self, record: Answered | Accepted) -> None:
        """Append a record."""
        os.write(self._descriptor, json.dumps(asdict(record)).encode() + b"\n")

    def read(self) -> list[Mapping[str, Any]]:
        """Return all records as JSON has them."""
        return [json.loads(line) for line in self._path.read_bytes().splitlines()]

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def payload_digest(payload: Any) -> str:
    """Return the SHA-256 of a JSON value, whatever the order of its keys and its blanks were."""
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()
