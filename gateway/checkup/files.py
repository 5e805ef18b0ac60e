"""The disk of the inbox, and who may read and write the files of the gateway."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway.checkup.check import Check, Level
from gateway.inbox.disk_space import Space, SpaceLevel, measure
from gateway.inbox.sqlite_place import file_system_of, is_network

_PASSING = {
    "tmpfs": "is in memory, so every delivery is lost at a restart of the machine",
    "ramfs": "is in memory, so every delivery is lost at a restart of the machine",
    "overlay": "is a layer of a container where it is not the machine's own disk, and goes with it: mount a volume",
}
_SPACE = {
    SpaceLevel.OK: (Level.OK, ""),
    SpaceLevel.LOW: (Level.WARNING, "; make room, or lower inbox.retention_days"),
    SpaceLevel.SCARCE: (Level.WARNING, ", so that senders who come back are refused; make room"),
    SpaceLevel.FULL: (Level.FAULT, ", so that everything is refused; make room"),
}


def disk(inbox: Path) -> Iterator[Check]:
    """Look at the disk of the inbox's file."""
    inbox = inbox.resolve()
    if inbox.parent.is_dir():
        yield place(inbox, file_system_of(inbox))
        yield space(measure(inbox.parent))


def place(inbox: Path, kind: str | None) -> Check:
    """Judge the type of the file system that holds the inbox, None where the system does not tell."""
    if kind is None:
        return Check("file system", Level.NOTE, "this system does not tell its type; it must be a local disk")
    if is_network(kind):
        fix = "an inbox needs a disk of this machine"
        return Check("file system", Level.FAULT, f"{inbox} is on a network file system ({kind}); {fix}")
    if kind in _PASSING:
        return Check("file system", Level.NOTE, f"{inbox} is on {kind}, which {_PASSING[kind]}")
    return Check("file system", Level.OK, f"{inbox} is on {kind}")


def space(found: Space) -> Check:
    """Judge the free space of the inbox's disk."""
    level, consequence = _SPACE[found.level]
    return Check("free space", level, f"{found} left on the disk of the inbox{consequence}")


def permissions(config: Path, inbox: Path, secrets: Iterable[Path]) -> Check:
    """Say which files others may read or write who should not; a sticky folder keeps them from replacing files."""
    inbox = inbox.resolve()
    faults = [f"{path} can be changed by anyone; chmod o-w {path}" for path in (config, inbox) if _has(path, 0o002)]
    if _has(inbox.parent, 0o002) and not _has(inbox.parent, stat.S_ISVTX):
        faults.append(f"anyone can replace files in {inbox.parent}; chmod o-w {inbox.parent}")
    kept = [inbox, *inbox.parent.glob(f"{inbox.name}.*")]
    faults += [f"{path} can be read by anyone; chmod o-r {path}" for path in (*secrets, *kept) if _has(path, 0o004)]
    if faults:
        return Check("permissions", Level.WARNING, "; ".join(faults))
    return Check("permissions", Level.OK, "nobody else may read secrets or the inbox, or change the configuration")


def _has(path: Path, bits: int) -> bool:
    try:
        return bool(path.stat().st_mode & bits)
    except OSError:
        return False
