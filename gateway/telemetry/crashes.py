"""What a fault of our own looks like in the log: where it came up, and nothing of the data it came up with."""

from __future__ import annotations

import sys
import threading
import traceback
from typing import Protocol

from gateway.errors import GatewayError

MOST_CAUSES = 5
MOST_FRAMES = 30


def describe(error: BaseException) -> str:
    """Return the frames that an exception and its causes came through, in the form of a traceback.

    The message is told of errors that are the gateway's own and the system's alone: those of others quote the data
    that they failed on.
    """
    parts: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(parts) < MOST_CAUSES:
        frames = "".join(traceback.format_tb(cause.__traceback__, limit=-MOST_FRAMES))
        parts.append(f"{frames}{_name(cause)}")
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return "\nled to\n".join(reversed(parts))


class Report(Protocol):
    """Takes what nothing caught."""

    def __call__(self, *, where: str, error: BaseException) -> None:
        """Report it."""


def catch(report: Report) -> None:
    """Let `report` have what no code of this process catches, in place of Python's own tracebacks, which have messages.

    It is given where that was (`process`, `thread`, `destructor`) and the exception.
    """

    def in_process(_kind: type[BaseException], error: BaseException, _frames: object) -> None:
        report(where="process", error=error)

    def in_thread(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value and not isinstance(arguments.exc_value, SystemExit):
            report(where="thread", error=arguments.exc_value)

    def in_destructor(arguments: sys.UnraisableHookArgs) -> None:
        if arguments.exc_value:
            report(where="destructor", error=arguments.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = in_process, in_thread, in_destructor


def _name(error: BaseException) -> str:
    name = type(error).__qualname__
    if isinstance(error, GatewayError):
        return f"{name}: {error}"
    if isinstance(error, OSError) and error.strerror:
        return f"{name}: {error.strerror}"
    return name
