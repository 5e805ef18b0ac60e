"""What libraries and transforms say with Python's logging, as lines of the gateway's log."""

from __future__ import annotations

import contextlib
import logging
import re
import time
from collections.abc import Callable

# What these say holds what strangers and collectors sent: in its arguments, and asyncio's in the text too.
QUOTING = ("aiohttp", "asyncio", "opentelemetry", "urllib3")
QUIET_SECONDS = 60.0
MOST_TOLD = 1_000
MOST_CHARACTERS = 1_000
_WORDS = re.compile(r"[\w ,.:;'%…-]*")

Write = Callable[[str, str, str, BaseException | None], None]


class Router(logging.Handler):
    """Gives records of warnings and worse to `write`: logger, severity, text, exception.

    Of libraries that quote what they were sent, only the constant words of a message and its numbers are told, and the
    same message once a minute.
    """

    def __init__(self, write: Write) -> None:
        super().__init__(logging.WARNING)
        self._write = write
        self._told: dict[tuple[str, str], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on."""
        text = _message(record)
        if record.name.startswith(QUOTING):
            text = _constant(record)
            if not self._is_due((record.name, _words(str(record.msg)))):
                return
        error = record.exc_info[1] if record.exc_info else None
        self._write(record.name, record.levelname.lower(), text[:MOST_CHARACTERS], error)

    def _is_due(self, what: tuple[str, str]) -> bool:
        now = time.monotonic()
        if now - self._told.get(what, -QUIET_SECONDS) < QUIET_SECONDS:
            return False
        if len(self._told) >= MOST_TOLD:
            self._told.clear()
        self._told[what] = now
        return True


def route(write: Write) -> None:
    """Let everything that is logged with Python's logging go to `write`, in place of where it went before."""
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if isinstance(handler, Router)]:
        root.removeHandler(handler)
    root.addHandler(Router(write))
    # What is wrong with requests has lines of its own.
    logging.getLogger("aiohttp").setLevel(logging.ERROR)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a message whose arguments do not fit it
        return str(record.msg)


def _constant(record: logging.LogRecord) -> str:
    """Return the words of a message without what was put into it, numbers apart."""
    text = str(record.msg)
    if isinstance(record.args, tuple) and record.args:
        with contextlib.suppress(TypeError, ValueError):
            text %= tuple(value if isinstance(value, int | float) else "…" for value in record.args)
    return _words(text)


def _words(text: str) -> str:
    found = _WORDS.match(text)
    return found[0].rstrip() if found else ""
