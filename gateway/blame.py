"""Say in one sentence what went wrong in user code and where: never a traceback, never more than a line. Pure."""

from __future__ import annotations

import traceback

MAX_SENTENCE = 300
MIN_MESSAGE = 40


def sentence(text: str, limit: int = MAX_SENTENCE) -> str:
    """Return `text` as one printable line of at most `limit` characters, fit for logs and databases."""
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in " ".join(text.split()))
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def raised(subject: str, error: BaseException, package: str) -> str:
    """Return "<subject> raised <type>: <message> (<file>:<line>)", the place being the deepest one within `package`.

    The message gives way where the whole would be too long, so that the place is always told.
    """
    start = f"{subject} raised {type(error).__name__}"
    where = _place(error, package)
    end = f" ({where})" if where else ""
    message = sentence(_message(error), max(MIN_MESSAGE, MAX_SENTENCE - len(start) - len(end) - 2))
    return sentence(f"{start}: {message}{end}" if message else f"{start}{end}")


def _message(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return error.msg
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the __str__ of a user's exception may raise anything
        return ""


def _place(error: BaseException, package: str) -> str:
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}:{error.lineno}"
    frames = [
        f"{frame.f_code.co_filename}:{line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package
    ]
    return frames[-1] if frames else ""
