"""What SQLite's errors mean: which of them end the service, which pass, and the sentence for each."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

import apsw

from gateway.errors import InboxError, InboxUnavailable, InboxUnsupported

_LIMITS = frozenset({errno.EFBIG, errno.EDQUOT})


def failure(connection: apsw.Connection, error: Exception) -> InboxError | None:
    """Return why nothing may be written any more after `error`, or None when it passes.

    After an I/O error nothing more is tried: what an fsync failed to write may be gone although the next one succeeds
    (https://www.usenix.org/conference/atc20/presentation/rebello). Out of room is none: nothing was written at all.
    """
    if out_of_room(connection, error) or not isinstance(error, apsw.IOError | apsw.CorruptError | apsw.NotADBError):
        return None
    return InboxError(
        f"reading or writing the inbox file failed ({error}); nothing more is accepted until the process is "
        "started again: check the disk first"
    )


def is_damage(error: Exception) -> bool:
    """Tell whether `error` says that the file itself is damaged."""
    return isinstance(error, apsw.CorruptError | apsw.NotADBError)


def out_of_room(connection: apsw.Connection, error: Exception) -> bool:
    """Tell whether the last write found no room: on the disk, or under a limit of file size or quota."""
    return isinstance(error, apsw.FullError) or _limited(connection, error)


def unavailable(connection: apsw.Connection, error: Exception) -> InboxUnavailable:
    """Say in one sentence why SQLite could not do what was asked, and what to do about it."""
    match error:
        case apsw.FullError():
            return InboxUnavailable("the disk of the inbox is full; the inbox goes on when there is space again")
        case apsw.BusyError():
            return InboxUnavailable("another process holds the inbox file for writing; find it and stop it")
        case apsw.ReadOnlyError():
            return InboxUnavailable("the inbox file cannot be written; check its permissions and its mount")
        case apsw.InterruptError():
            return InboxUnavailable("the search took too long and was stopped; narrow it by id, source or time")
    if _limited(connection, error):
        return InboxUnavailable(
            "the inbox file may not grow: a limit of file size or a quota is reached; raise it (ulimit -f, quota), "
            "and the inbox goes on"
        )
    return InboxUnavailable(f"the inbox file could not be used: {error}")


@contextlib.contextmanager
def refusals(path: Path) -> Iterator[None]:
    """Turn what SQLite says while a file is being opened into a refusal with a sentence."""
    try:
        yield
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise InboxUnsupported(
            f"{path} is damaged or no SQLite database ({error}); keep it, move it aside and restore a backup"
        ) from error
    except (OSError, apsw.Error) as error:
        raise InboxUnsupported(
            f"{path} cannot be opened ({error}); check that its directory exists and that this user may write there"
        ) from error


def _limited(connection: apsw.Connection, error: Exception) -> bool:
    """SQLite knows a disk that is full, and calls the other reasons not to write more an I/O error."""
    written = getattr(error, "extendedresult", None) == apsw.SQLITE_IOERR_WRITE
    return written and connection.system_errno in _LIMITS
