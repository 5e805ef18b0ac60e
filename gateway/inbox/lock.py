"""One serving process per inbox file: a lock the kernel lets go when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from gateway.errors import InboxLocked, InboxUnsupported


class ServingLock:
    """The right to serve one inbox file, held on `<file>.lock` until `release` or the end of the process.

    The lock file holds the pid of its holder. It is never deleted: whoever waited for a deleted file would hold a
    lock that nobody else can see.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def acquire(cls, file: Path) -> ServingLock:
        """Take the lock for `file`. Raises InboxLocked when another holder lives, InboxUnsupported without access."""
        path = file.with_name(f"{file.name}.lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise InboxUnsupported(
                f"the lock file {path} cannot be opened: {error.strerror}; "
                "check that its directory exists and that this user may write there"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise InboxLocked(
                f"the inbox {file} is already served by process {holder or 'unknown'} (lock file {path}); "
                "stop that process or name another file in [inbox] url"
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return cls(descriptor)

    def release(self) -> None:
        """Let the lock go; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
