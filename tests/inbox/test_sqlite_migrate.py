"""An opening that is killed before any of its statements leaves the old schema or the new one, never half of each."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import apsw
import pytest

from gateway.inbox import sqlite_schema
from gateway.inbox.rows import body_row
from gateway.inbox.sqlite import SqliteInbox
from gateway.inbox.sqlite_schema import SCHEMA
from gateway.model import State
from tests.inbox.samples import LEASE, NOW, delivery, keep, settle_all

PROJECT = Path(__file__).parents[2]

WINDOW = 1_000_000
METADATA = body_row(delivery())[0]

# What the first schema has of an entry, as its gateway put it.
_KEPT = """
INSERT INTO entries (source, provider, delivery_id, type, trace_id, received_at, state, due_at)
VALUES (:source, 'hmac', :id, 'order.created', '', :now, 'pending', :now);
INSERT INTO bodies (key, metadata, body) VALUES (last_insert_rowid(), :metadata, x'7b7d');
INSERT INTO dedupe (source, delivery_id, key, first_seen) VALUES (:source, :id, last_insert_rowid(), :now);
"""

Schema = tuple[object, frozenset[object]]


def make_old(place: Path, monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    """Make a file as a gateway of an older schema did, with three entries of two sources."""
    place.mkdir()
    connection = apsw.Connection(str(place / "inbox.db"))
    connection.pragma("journal_mode", "wal")
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_schema, "SCHEMA", version)
        sqlite_schema.migrate(connection, 0, WINDOW)
    for name, source, now in [("evt_1", "a", NOW - 1), ("evt_2", "b", NOW - 3), ("evt_3", "a", NOW - 2)]:
        connection.execute(_KEPT, {"id": name, "source": source, "now": now, "metadata": METADATA})
    connection.close()


def schema_of(place: Path) -> Schema:
    """Return the version and the schema of a file that SQLite finds in order."""
    connection = apsw.Connection(str(place / "inbox.db"))
    statements = connection.execute("SELECT sql FROM sqlite_schema").fetchall()
    version = connection.pragma("user_version")
    assert connection.pragma("integrity_check") == "ok"
    connection.close()
    return version, frozenset(statement for (statement,) in statements)


def kill_at_every_statement(template: Path, into: Path) -> list[Path]:
    """Return one copy of the template for each statement of its opening, killed before it; the last went through."""
    command = [sys.executable, "-m", "tests.inbox.killed_while_opening", str(template), str(into)]
    done = subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)  # noqa: S603 - our own script
    return [into / str(n) for n in range(int(done.stdout))]


def open_at(place: Path) -> SqliteInbox:
    """Open a SQLite inbox."""
    return SqliteInbox.open(place / "inbox.db", dedupe_window_ms=WINDOW)


async def test_an_upgrade_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed anywhere, an upgrade leaves a file of one schema or the other, which opens with all its entries."""
    make_old(tmp_path / "old", monkeypatch, SCHEMA - 1)
    old = schema_of(tmp_path / "old")
    copies = kill_at_every_statement(tmp_path / "old", tmp_path)
    found = Counter(schema_of(copy) for copy in copies)
    new = schema_of(copies[-1])
    assert old != new
    assert set(found) == {old, new}
    assert min(found.values()) > 3
    for copy in copies:
        inbox = open_at(copy)
        assert inbox.alarms == ()
        leases = await inbox.lease(9, LEASE, NOW)
        assert [lease.entry.delivery.id for lease in leases] == ["evt_2", "evt_3", "evt_1"]
        await keep(inbox, "evt_4")
        await inbox.close()
        assert schema_of(copy) == new


async def test_a_first_opening_that_is_killed(tmp_path: Path) -> None:
    """Killed anywhere, the making of a file leaves one that opens empty and serves."""
    (tmp_path / "none").mkdir()
    copies = kill_at_every_statement(tmp_path / "none", tmp_path)
    assert len(copies) > 20
    new = schema_of(copies[-1])
    for copy in copies[:-1]:
        inbox = open_at(copy)
        await keep(inbox, "evt_1")
        assert len(await inbox.lease(9, LEASE, NOW)) == 1
        await inbox.close()
        assert schema_of(copy) == new


async def test_an_old_file_is_upgraded_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of every older schema opens with its entries in their order, and as a new file is laid out."""
    await open_at(tmp_path).close()
    for version in range(1, SCHEMA):
        place = tmp_path / str(version)
        make_old(place, monkeypatch, version)
        inbox = open_at(place)
        assert [lease.entry.delivery.id for lease in await inbox.lease(2, LEASE, NOW)] == ["evt_2", "evt_3"]
        await inbox.close()
        assert schema_of(place) == schema_of(tmp_path)


async def test_the_secret_of_an_older_delivery_is_told_by_its_position(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an older gateway kept of verification, the position of the secret or none, reads as what it meant."""
    make_old(tmp_path / "old", monkeypatch, SCHEMA - 1)
    connection = apsw.Connection(str(tmp_path / "old" / "inbox.db"))
    older = "json_remove(json_set(CAST(metadata AS TEXT), '$.secret', json(?)), '$.verified', '$.doubt')"
    for key, index in ((2, "1"), (3, "null")):
        connection.execute(f"UPDATE bodies SET metadata = CAST({older} AS BLOB) WHERE key = ?", (index, key))  # noqa: S608 - a fixed text
    connection.close()
    inbox = open_at(tmp_path / "old")
    found = {lease.entry.delivery.id: lease.entry.delivery for lease in await inbox.lease(9, LEASE, NOW)}
    assert [(found[name].secret, found[name].verified) for name in ("evt_2", "evt_3")] == [
        ("secrets[1]", True),
        (None, False),
    ]
    await inbox.close()


async def test_refusals_of_an_older_rule_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refusals that were counted when all was refused too are not held against what waits after the upgrade."""
    make_old(tmp_path / "old", monkeypatch, 2)
    connection = apsw.Connection(str(tmp_path / "old" / "inbox.db"))
    connection.execute("UPDATE entries SET rejections = 6, rejected_at = ?", (NOW,))
    connection.close()
    inbox = open_at(tmp_path / "old")
    entries = [lease.entry for lease in await inbox.lease(9, LEASE, NOW)]
    assert [(entry.rejections, entry.rejected_at) for entry in entries] == [(0, None)] * 3
    await inbox.close()


async def test_old_ids_get_a_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an older gateway kept is absorbed for the window that the new one has, and is pruned after it."""
    make_old(tmp_path / "old", monkeypatch, 1)
    inbox = open_at(tmp_path / "old")
    [again] = await inbox.put([delivery("evt_1", source="a")], NOW - 1 + WINDOW)
    assert (again.duplicate, again.first_seen_at) == (True, NOW - 1)
    await settle_all(inbox, State.FORWARDED)
    assert await inbox.prune(NOW + 1, NOW + WINDOW) == 3 + 3 + 3
    [new] = await inbox.put([delivery("evt_1", source="a")], NOW + WINDOW)
    assert not new.duplicate
    await inbox.close()
