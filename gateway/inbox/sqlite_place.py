"""Where an inbox file may be: on a disk of this machine, readable by this user only."""

from __future__ import annotations

import os
import re
from pathlib import Path

from gateway.errors import InboxUnsupported

# WAL needs memory shared between processes, which these do not give: https://sqlite.org/wal.html
_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre"})
_NETWORK_FUSE = frozenset({"fuse.sshfs", "fuse.s3fs", "fuse.rclone", "fuse.glusterfs", "fuse.ceph-fuse"})
_MOUNTS = Path("/proc/self/mounts")


def file_system(path: Path, mounts: str) -> str:
    """Return the type of the file system that holds `path` (absolute).

    `mounts` is the text of /proc/self/mounts; of the mounts on the longest directory above `path` the last counts.
    """
    depth, held_by = 0, ""
    for line in mounts.splitlines():
        _, mounted_at, kind, *_ = line.split(" ")
        directory = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), mounted_at))
        if path.is_relative_to(directory) and len(directory.parts) >= depth:
            depth, held_by = len(directory.parts), kind
    return held_by


def file_system_of(path: Path) -> str | None:
    """Return the type of the file system that holds `path` (absolute); None where only Linux could tell."""
    return file_system(path, _MOUNTS.read_text(errors="surrogateescape")) if _MOUNTS.exists() else None


def is_network(kind: str) -> bool:
    """Tell whether a type of file system is one of a network."""
    return kind in _NETWORK | _NETWORK_FUSE


def require_local(path: Path) -> None:
    """Raise InboxUnsupported when `path` is on a network file system; only Linux can tell."""
    kind = file_system_of(path)
    if kind is not None and is_network(kind):
        raise InboxUnsupported(f"{path} is on a network file system ({kind}); an inbox needs a disk of this machine")


def create_private(path: Path) -> None:
    """Make the file for this user only; SQLite gives its mode to the -wal and -shm files. Raises OSError.

    An existing file is not opened here: closing it would drop the locks that SQLite holds on it in this process
    (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
    """
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
