"""Copy an inbox file page by page from one moment of it, and publish the copy as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw

from gateway.errors import BackupFailed

# 1 MiB: Ctrl-C, progress and a look at the disk come between two steps.
PAGES_PER_STEP = 256

_WITH_SIDE_FILES = ("", "-journal", "-wal", "-shm")

Step = Callable[[int, int], None]
"""Told after each step how many pages are copied, and how many there are."""


@contextlib.contextmanager
def failures(what: str) -> Iterator[None]:
    """Turn what the disk and SQLite say about a copy into BackupFailed; `what` begins its sentence."""
    try:
        yield
    except apsw.FullError as error:
        raise BackupFailed(f"{what}: its disk is full; make room, or name a file on another disk") from error
    except OSError as error:
        raise BackupFailed(f"{what}: {error.strerror or type(error).__name__}; nothing was left there") from error
    except apsw.Error as error:
        raise BackupFailed(f"{what}: {error}; nothing was left there") from error


@contextlib.contextmanager
def draft(target: Path) -> Iterator[Path]:
    """Give an empty file beside `target`, for this user only, and delete it at the end unless it was published."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".part")
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        for suffix in _WITH_SIDE_FILES:
            with contextlib.suppress(OSError):
                Path(f"{name}{suffix}").unlink(missing_ok=True)


def copy_pages(source: apsw.Connection, copy: Path, after_step: Step = lambda _copied, _all: None) -> None:
    """Copy the database of `source`, which is in a transaction: so no commit meanwhile makes SQLite begin anew.

    The copy is left as one file without a WAL. Raises what `after_step` does, apsw.Error.
    """
    with contextlib.closing(apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READWRITE)) as target:
        target.pragma("synchronous", 0)  # `publish` syncs it as a whole
        with target.backup("main", source, "main") as backup:
            while not backup.done:
                backup.step(PAGES_PER_STEP)
                after_step(backup.page_count - backup.remaining, backup.page_count)
        target.pragma("journal_mode", "delete")


def publish(copy: Path, target: Path) -> None:
    """Give a finished copy its name. Raises OSError."""
    sync(copy)
    copy.replace(target)
    sync(target.parent)


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
