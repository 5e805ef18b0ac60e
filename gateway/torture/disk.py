"""A disk that remembers what was synced: it can fail, fill up, be slow, and be looked at after a power cut."""

# ruff: noqa: N802, ARG002, FBT001 - the methods of a VFS are SQLite's, in name and in arguments

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import apsw

Write = tuple[int, bytes | None]  # offset and data; data None: truncate to offset

SECTOR = 512


class Disk:
    """Per file, the bytes that survive a power cut and the writes that may not.

    `on_sync` is called before each sync, `syncs` counts those that succeeded.
    """

    def __init__(self) -> None:
        self.syncs = 0
        self._lock = threading.Lock()
        self._synced: dict[str, bytearray] = {}
        self._pending: dict[str, list[Write]] = {}
        self._syncs_left: int | None = None
        self._room: int | None = None
        self._writes_fail = False
        self.on_sync: Callable[[], object] = bool

    def leave_room(self, room: int | None) -> None:
        """Let so many more bytes be written before the disk is full; None makes it large."""
        self._room = room

    def break_writes(self) -> None:
        """Let every write fail from now on."""
        self._writes_fail = True

    def take_room(self, size: int) -> None:
        """Use up the room for a write, or raise as the kernel does on a full or failing disk."""
        if self._writes_fail:
            raise apsw.exception_for(apsw.SQLITE_IOERR_WRITE)
        if self._room is not None:
            if size > self._room:
                raise apsw.exception_for(apsw.SQLITE_FULL)
            self._room -= size

    def fail_after(self, syncs: int | None) -> None:
        """Let so many more syncs succeed and all later ones fail; None mends the disk."""
        self._syncs_left = syncs

    def write(self, path: str, write: Write) -> None:
        """Note a write that no sync has covered yet."""
        with self._lock:
            self._pending.setdefault(path, []).append(write)

    def sync(self, path: str) -> None:
        """Make the writes of one file durable, or raise as the kernel does when it could not."""
        self.on_sync()
        with self._lock:
            if self._syncs_left is not None:
                if self._syncs_left == 0:
                    raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
                self._syncs_left -= 1
            self.syncs += 1
            for write in self._pending.pop(path, []):
                _apply(self._synced.setdefault(path, bytearray()), write)

    def delete(self, path: str) -> None:
        """Forget a file."""
        with self._lock:
            self._synced.pop(path, None)
            self._pending.pop(path, None)

    def after_power_cut(self, directory: Path, luck: Random | None = None) -> None:
        """Write what survives into `directory`: what was synced and, with luck, some of what was not, whole or torn."""
        directory.mkdir()
        with self._lock:
            for path, synced in self._synced.items():
                kept = bytearray(synced)
                for write in self._pending.get(path, []):
                    if luck and luck.random() < 1 / 2:
                        _apply(kept, _torn(write, luck))
                (directory / Path(path).name).write_bytes(kept)


def _torn(write: Write, luck: Random) -> Write:
    """Return a write, half of the time cut off after some of its sectors."""
    offset, data = write
    if data is None or luck.random() < 1 / 2:
        return write
    return offset, data[: SECTOR * luck.randint(0, len(data) // SECTOR)]


def _apply(kept: bytearray, write: Write) -> None:
    offset, data = write
    if data is None:
        del kept[offset:]
        return
    kept.extend(bytes(max(0, offset - len(kept))))
    kept[offset : offset + len(data)] = data


class _File(apsw.VFSFile):
    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._path = name.filename() if isinstance(name, apsw.URIFilename) else name or ""
        super().__init__("unix", name, flags)

    def xWrite(self, data: bytes, offset: int) -> None:
        self._disk.take_room(len(data))
        super().xWrite(data, offset)
        self._disk.write(self._path, (offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self._disk.write(self._path, (newsize, None))

    def xSync(self, flags: int) -> None:
        self._disk.sync(self._path)


class _VFS(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        super().__init__("remembering", base="unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        return _File(self._disk, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        self._disk.delete(filename)


@contextmanager
def remembered() -> Iterator[Disk]:
    """Put every SQLite file opened inside on one Disk."""
    before = apsw.vfs_names()[0]
    disk = Disk()
    vfs = _VFS(disk)
    try:
        yield disk
    finally:
        apsw.set_default_vfs(before)
        vfs.unregister()


def check_integrity(path: Path) -> str:
    """Let SQLite check every page and index of a file; return its findings, `ok` when there are none."""
    try:
        connection = apsw.Connection(str(path))
        try:
            return str(connection.pragma("integrity_check"))
        finally:
            connection.close()
    except apsw.Error as error:
        return str(error)


def sqlite_version() -> str:
    """Return the version of the SQLite that is tortured."""
    return apsw.sqlite_lib_version()
