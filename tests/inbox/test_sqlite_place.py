"""Where a SQLite inbox may be."""

from pathlib import Path

import apsw
import pytest

from gateway.errors import InboxUnsupported
from gateway.inbox import sqlite_place
from gateway.inbox.lock import ServingLock
from gateway.inbox.sqlite import SqliteInbox
from gateway.inbox.sqlite_place import file_system, is_network


def open_at(path: Path) -> SqliteInbox:
    """Open a SQLite inbox."""
    return SqliteInbox.open(path, dedupe_window_ms=1_000_000)


def test_a_place_that_is_not_there(tmp_path: Path) -> None:
    """A directory that does not exist is named, with what to check."""
    with pytest.raises(InboxUnsupported, match=r"nowhere.*check that its directory exists"):
        open_at(tmp_path / "nowhere" / "inbox.db")
    with pytest.raises(InboxUnsupported, match="check that its directory exists"):
        open_at(tmp_path)


def test_a_place_without_shared_memory(tmp_path: Path) -> None:
    """Where SQLite cannot use WAL the inbox is refused, and its lock is free again."""
    before = apsw.vfs_names()[0]
    apsw.set_default_vfs("unix-none")
    try:
        with pytest.raises(InboxUnsupported, match="cannot use WAL"):
            open_at(tmp_path / "inbox.db")
    finally:
        apsw.set_default_vfs(before)
    open_lock = ServingLock.acquire(tmp_path / "inbox.db")
    open_lock.release()
    open_lock.release()


MOUNTS = r"""/dev/vda1 / ext4 rw,relatime 0 0
tmpfs /tmp tmpfs rw 0 0
nas:/export /mnt/nas nfs4 rw 0 0
/dev/vdb1 /mnt/nas/local xfs rw 0 0
//nas/share /mnt/two\040words cifs rw 0 0
host: /home/acme/remote fuse.sshfs rw 0 0
/dev/vdc1 /srv ext4 rw 0 0
nas:/srv /srv nfs rw 0 0
"""


def test_a_network_file_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An inbox on a network file system is refused before anything is made there; unknown mounts refuse nothing."""
    mounts = tmp_path / "mounts"
    monkeypatch.setattr(sqlite_place, "_MOUNTS", mounts)
    sqlite_place.require_local(tmp_path / "inbox.db")
    mounts.write_text(f"nas:/export {tmp_path} nfs4 rw 0 0\n")
    with pytest.raises(InboxUnsupported, match=r"network file system \(nfs4\)"):
        open_at(tmp_path / "inbox.db")
    assert not (tmp_path / "inbox.db").exists()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib/gateway/inbox.db", None),
        ("/tmp/inbox.db", None),
        ("/mnt/nas/inbox.db", "nfs4"),
        ("/mnt/nas2/inbox.db", None),
        ("/mnt/nas/local/inbox.db", None),
        ("/mnt/two words/inbox.db", "cifs"),
        ("/home/acme/remote/a/inbox.db", "fuse.sshfs"),
        ("/srv/inbox.db", "nfs"),
    ],
)
def test_network_file_systems(path: str, kind: str | None) -> None:
    """The mount that holds a path is the one on the longest directory, the last one where there are several."""
    found = file_system(Path(path), MOUNTS)
    assert (found if is_network(found) else None) == kind
