"""How often each source rejected with each label, whether or not a sample was kept. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

MOST_TALLIES = 2_000


@dataclass(frozen=True, slots=True)
class Tally:
    """The rejections of one source with one label: how many, the first and the last (unix milliseconds)."""

    source: str
    label: str
    count: int
    first_at: int
    last_at: int

    def one_more(self, at: int) -> Tally:
        """Return the tally after another rejection."""
        return Tally(self.source, self.label, self.count + 1, min(self.first_at, at), max(self.last_at, at))

    def plus(self, other: Tally) -> Tally:
        """Return the tally of both, which are of one source and label."""
        first, last = min(self.first_at, other.first_at), max(self.last_at, other.last_at)
        return Tally(self.source, self.label, self.count + other.count, first, last)

    def dumps(self) -> bytes:
        """Return the tally as one line of JSON."""
        return orjson.dumps({"tally": [self.source, self.label, self.count, self.first_at, self.last_at]}) + b"\n"


def loads(document: Mapping[str, Any]) -> Tally:
    """Return the tally of a parsed line. Raises KeyError, TypeError or ValueError for what is none."""
    source, label, count, first_at, last_at = document["tally"]
    return Tally(str(source), str(label), int(count), int(first_at), int(last_at))
