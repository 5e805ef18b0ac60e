"""One serving process per inbox file: a lock the kernel lets go when its holder dies, and the marks of that holder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import InboxLocked, InboxUnsupported

_DAMAGED = "damaged"
_LONGEST = 100


@dataclass(frozen=True, slots=True)
class Marks:
    """What a serving process left beside its file: its pid, the last key it committed, whether it met damage."""

    pid: str = "unknown"
    last_key: int = 0
    damaged: bool = False


class ServingLock:
    """The right to serve one inbox file, held on `<file>.lock` until `release` or the end of the process.

    The lock file holds the marks of its holder, which outlive a kill but, not being synced, maybe not a power cut.
    It is never deleted: whoever waited for a deleted file would hold a lock that nobody else can see.
    """

    def __init__(self, descriptor: int, earlier: Marks) -> None:
        self.earlier = earlier
        self._descriptor: int | None = descriptor
        self._last_key = 0

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
        earlier = _read(descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise InboxLocked(
                f"the inbox {file} is already served by process {earlier.pid} (lock file {path}); "
                "stop that process or name another file in [inbox] url"
            ) from error
        lock = cls(descriptor, _read(descriptor))
        lock.mark(lock.earlier.last_key, damaged=lock.earlier.damaged)
        return lock

    def mark(self, last_key: int, *, damaged: bool = False) -> None:
        """Note this process, the last key that is committed, and damage; a full disk leaves the marks as they are."""
        self._last_key = last_key
        if self._descriptor is not None:
            text = f"{os.getpid():<10}\n{last_key:020d}\n{_DAMAGED if damaged else 'sound  '}\n"
            with contextlib.suppress(OSError):
                os.pwrite(self._descriptor, text.encode(), 0)

    def mark_key(self, last_key: int) -> None:
        """Note a key that is committed where it is the last one."""
        if last_key > self._last_key:
            self.mark(last_key)

    def mark_damage(self) -> None:
        """Note that the file was found damaged, so that the next process looks at all of it."""
        self.mark(self._last_key, damaged=True)

    def release(self) -> None:
        """Let the lock go; a second call does nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _read(descriptor: int) -> Marks:
    lines = os.pread(descriptor, _LONGEST, 0).decode("ascii", "replace").splitlines()
    pid, key, damage, *_ = [*(line.strip() for line in lines), "", "", ""]
    return Marks(pid or "unknown", int(key) if key.isdecimal() else 0, damage == _DAMAGED)
