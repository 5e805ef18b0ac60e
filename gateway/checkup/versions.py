"""The versions that matter: Python, SQLite, and aiohttp's parser."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib.metadata import version

from gateway.checkup.check import Check, Level
from gateway.errors import InboxUnsupported
from gateway.inbox.sqlite_connection import library_version, require_safe_library
from gateway.listener import parses_in_c


def examine() -> Iterator[Check]:
    """Look at what the gateway runs on."""
    yield Check("gateway", Level.OK, f"webhook-event-gateway {version('webhook-event-gateway')}")
    yield Check("python", Level.OK, f"{platform.python_implementation()} {platform.python_version()}")
    yield sqlite(library_version())
    yield parser(in_c=parses_in_c())


def sqlite(library: str) -> Check:
    """Look at the version of SQLite that apsw brings."""
    try:
        require_safe_library(library)
    except InboxUnsupported as error:
        return Check("sqlite", Level.FAULT, str(error))
    return Check("sqlite", Level.OK, f"SQLite {library}, apsw {version('apsw')}")


def parser(*, in_c: bool) -> Check:
    """Look at which parser of HTTP aiohttp has."""
    if not in_c:
        fix = "install its wheel and unset AIOHTTP_NO_EXTENSIONS"
        return Check("aiohttp", Level.FAULT, f"aiohttp {version('aiohttp')} without its parser in C; {fix}")
    return Check("aiohttp", Level.OK, f"aiohttp {version('aiohttp')} with its parser in C")
