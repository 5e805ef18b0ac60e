"""Which providers sign in which header, to tell by a request's headers whose it looks like. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache

from gateway import providers
from gateway.errors import ConfigError

# Headers that tell nothing of who sends.
_COMMON = frozenset({"authorization", "x-signature", "signature", "x-webhook-signature"})


def who_sends(present: Iterable[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each of the headers (lower case) in which providers sign, with their names, best known first."""
    known = _senders()
    yield from ((header, known[header]) for header in dict.fromkeys(present) if header in known)


@cache
def _senders() -> Mapping[str, tuple[str, ...]]:
    """Return the names of the providers by their signature headers; all files of the catalogue are read, once."""
    found: dict[str, list[str]] = {}
    for name in providers.names():
        for header in _headers(name) - _COMMON:
            found.setdefault(header, []).append(name)
    return {header: tuple(names) for header, names in found.items()}


def _headers(name: str) -> set[str]:
    try:
        schemes = providers.get(name).schemes
    except ConfigError:
        return set()
    return {header for scheme in schemes for header in scheme.headers}
