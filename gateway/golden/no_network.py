"""Keep code from reaching the network for a while, and tell whether it tried."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator
from typing import Any

# https://docs.python.org/3/library/audit_events.html
_REACHING = frozenset({"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"})

_watching: list[list[str]] = []


@contextlib.contextmanager
def no_network(*, allowed: bool = False) -> Iterator[list[str]]:
    """Refuse connections and look-ups of names, in every thread; what was tried is in the list that is given.

    Where the network is allowed nothing is refused or told.
    """
    tried: list[str] = []
    if allowed:
        yield tried
        return
    _install()
    _watching.append(tried)
    try:
        yield tried
    finally:
        _watching.remove(tried)


@functools.cache
def _install() -> None:
    """Add the hook, once: it stays until the process ends."""
    sys.addaudithook(_refuse)


def _refuse(event: str, _: tuple[Any, ...]) -> None:
    if event in _REACHING and _watching:
        _watching[-1].append(event)
        raise PermissionError("the network is out of reach in this test")
