"""What may stand in no log, metric, answer or output of any test: secrets of the tests' sources, and the event key."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from tests.world import ENVIRON


class Canaries:
    """Values that are looked for in everything that the gateway tells; `add` more of them as they are made."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._values: set[str] = {*values}

    def add(self, *values: str) -> None:
        """Look for these too."""
        self._values.update(values)

    def found(self, text: str) -> list[str]:
        """Return the values that a text holds, as they are, percent-encoded, or escaped as in JSON and Python."""
        return sorted(value for value in self._values if any(form in text for form in _forms(value)))


def _forms(value: str) -> set[str]:
    return {value, quote(value), quote(value, safe=""), repr(value)[1:-1], value.replace('"', '\\"')}


SECRETS = Canaries(ENVIRON.values())
