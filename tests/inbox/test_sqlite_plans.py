"""The statements of a SQLite inbox stay cheap however large it grows: none scans a table or sorts rows."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from gateway.history import Query
from gateway.inbox import sqlite_settle
from gateway.inbox.sqlite import SqliteInbox
from gateway.inbox.sqlite_put import Puts
from gateway.inbox.sqlite_search import matching
from gateway.model import ReplayMode, State
from tests.inbox.samples import LEASE, NOW, answered, delivery, keep


class Plans:
    """The plans of the statements that a connection ran."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, object]] = []

    def note(self, _cursor: apsw.Cursor, statement: str, values: object) -> bool:
        """Note a statement that runs; the table that SQLite numbers keys with has a single row."""
        if "sqlite_sequence" not in statement and statement.lstrip().startswith(
            ("SELECT", "UPDATE", "DELETE", "INSERT")
        ):
            self.statements.append((statement, values))
        return True

    def explain(self, path: Path) -> list[str]:
        """Return one line for each step of every plan."""
        connection = apsw.Connection(str(path))
        Puts(connection)
        sqlite_settle.prepare(connection)
        connection.config(apsw.SQLITE_DBCONFIG_TRIGGER_EQP, 1)
        lines = []
        for statement, values in dict(self.statements).items():
            rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]  # as they were bound
            lines += [str(row[3]) for row in rows]
        connection.close()
        return lines


@pytest.fixture
def plans() -> Plans:
    """Start without plans."""
    return Plans()


@pytest.fixture
async def inbox(tmp_path: Path, plans: Plans) -> AsyncIterator[SqliteInbox]:
    """Open an inbox whose statements are noted."""
    inbox = SqliteInbox.open(tmp_path / "inbox.db", dedupe_window_ms=1_000_000)
    await inbox._write(lambda db: db.set_exec_trace(plans.note))
    await inbox._reader.run(lambda db: db.set_exec_trace(plans.note))
    yield inbox
    await inbox.close()


def costly(lines: list[str]) -> list[str]:
    """Return the steps that read a whole table or index, or sort; the list that a statement is given is none."""
    lines = [line for line in lines if not re.search("json_each|CONSTANT ROW|VALUES CLAUSE", line)]
    return [line for line in lines if line.startswith("SCAN") or "TEMP B-TREE" in line]


async def test_the_way_of_every_delivery_is_by_index(tmp_path: Path, inbox: SqliteInbox, plans: Plans) -> None:
    """Put, lease, settle and get look up what they need, also with a frozen batch and with expired leases."""
    [key] = await keep(inbox, "evt_1")
    await inbox.put([delivery("evt_1", secret="OLD")], NOW, count_secrets=True)
    await inbox.put([delivery("evt_2", digest="aa" * 32), delivery("evt_3", digest="aa" * 32)], NOW)
    [lease] = await inbox.lease(1, LEASE, NOW)
    await inbox.settle([(lease, answered(lease))], NOW)
    await inbox.get(key)
    lines = plans.explain(tmp_path / "inbox.db")
    assert costly(lines) == []
    for index in (
        "entries_due",
        "entries_leased",
        "entries_frozen",
        "entries_batch",
        "entries_delivery",
        "dedupe_digest",
    ):
        assert any(index in line for line in lines), index


async def test_retention_is_by_index(tmp_path: Path, inbox: SqliteInbox, plans: Plans) -> None:
    """A prune looks up what is old, and so does a replay by id."""
    await keep(inbox, "evt_1")
    [lease] = await inbox.lease(1, LEASE, NOW)
    await inbox.settle([(lease, answered(lease))], NOW)
    plans.statements.clear()
    await inbox.prune(NOW + 1, NOW + 1_000_001)
    lines = plans.explain(tmp_path / "inbox.db")
    assert costly(lines) == []
    for index in ("entries_settled", "dedupe_expiry", "entries_forget"):
        assert any(index in line for line in lines), index


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (Query(source="acme"), "entries_source"),
        (Query(source="acme", state=State.FORWARDED), "entries_source"),
        (Query(source="acme", since=1, until=2), "entries_source"),
        (Query(state=State.DEAD), "entries_dead"),
        (Query(since=1, until=2), "entries_received"),
        (Query(), "entries_received"),
        (Query(type="order.created"), "entries_received"),
        (Query(reason="KeyError"), "entries_received"),
        (Query(after=5), "entries_received"),
        (Query(source="acme", after=5), "entries_source"),
        (Query(before=(5, 6)), "entries_received"),
        (Query(source="acme", before=(5, 6)), "entries_source"),
        (Query(state=State.DEAD, before=(5, 6)), "entries_dead"),
        (Query(state=State.DEAD, after=5), "entries_dead"),
    ],
)
async def test_a_search_reads_in_the_order_it_returns(
    tmp_path: Path, inbox: SqliteInbox, plans: Plans, query: Query, index: str
) -> None:
    """A search walks an index from the newest on and stops at its limit, without sorting."""
    await inbox.search(query)
    lines = plans.explain(tmp_path / "inbox.db")
    assert any(index in line for line in lines)
    assert not any("TEMP B-TREE" in line for line in lines)


@pytest.mark.parametrize("fields", [{}, {"source": "acme"}, {"state": State.DEAD}, {"since": 1, "until": 2}])
async def test_an_id_is_looked_up(tmp_path: Path, inbox: SqliteInbox, plans: Plans, fields: dict[str, object]) -> None:
    """A search or replay by id looks up the few entries it can mean, whatever else is given."""
    query = Query(id="evt_1", **fields)  # type: ignore[arg-type]  # columns of the table
    await inbox.search(query)
    await inbox.replay(query, ReplayMode.RESEND, NOW)
    lines = plans.explain(tmp_path / "inbox.db")
    assert [line for line in costly(lines) if line.startswith("SCAN")] == []
    assert "SEARCH entries USING INTEGER PRIMARY KEY (rowid=?)" in lines


@pytest.mark.parametrize("fields", [{}, {"source": "acme"}, {"state": State.DEAD}, {"since": 1, "until": 2}])
async def test_a_replay_reads_in_the_order_of_its_steps(
    tmp_path: Path, inbox: SqliteInbox, plans: Plans, fields: dict[str, object]
) -> None:
    """A step of a replay walks the entries from the last key on and stops at its limit, without sorting."""
    await inbox.replay(Query(after=1, **fields), ReplayMode.RESEND, NOW)  # type: ignore[arg-type]  # columns of the table
    assert costly(plans.explain(tmp_path / "inbox.db")) == []


async def test_a_lease_beside_an_excluded_source_is_by_index(tmp_path: Path, inbox: SqliteInbox, plans: Plans) -> None:
    """Leaving sources out of a lease looks up the others, and reads nothing of those left out."""
    await keep(inbox, "evt_1")
    await inbox.put([delivery("evt_2", source="other")], NOW)
    plans.statements.clear()
    assert len(await inbox.lease(9, LEASE, NOW, {"acme"})) == 1
    assert costly(plans.explain(tmp_path / "inbox.db")) == []
    looked_up = [values for statement, values in plans.statements if "source = ?" in statement]
    assert looked_up == [("other", NOW)]


async def test_counts_read_narrow_indexes(tmp_path: Path, inbox: SqliteInbox, plans: Plans) -> None:
    """Counting reads two indexes from end to end, and of the tables the one with a row a day and secret."""
    await inbox.counts()
    lines = plans.explain(tmp_path / "inbox.db")
    assert lines == [
        "SCAN entries USING COVERING INDEX entries_source",
        "SCAN dedupe USING COVERING INDEX dedupe_hits",
        "SCAN secret_uses",
    ]


def test_conditions_bind_their_values() -> None:
    """No value of a query becomes part of the SQL."""
    value = "'; DROP TABLE entries; --"
    conditions, values = matching(Query(id=value, source=value, type=value, since=5, until=6))
    assert value not in conditions
    assert values == [value, value, "[]", *[value] * 5, 5, 6]
    assert delivery(value).id == value


@pytest.mark.parametrize("fields", [{}, {"source": "acme"}, {"since": 1, "until": 2}, {"type": "order.created"}])
async def test_a_walk_reads_in_the_order_of_its_steps(
    tmp_path: Path, inbox: SqliteInbox, plans: Plans, fields: dict[str, object]
) -> None:
    """A step over stored deliveries goes on from the last key and stops at its limit, without sorting."""
    await keep(inbox, "evt_1")
    plans.statements.clear()
    await inbox.stored(Query(after=1, **fields))  # type: ignore[arg-type]  # columns of the table
    assert costly(plans.explain(tmp_path / "inbox.db")) == []


@pytest.mark.parametrize("source", ["", "acme"])
async def test_names_are_counted_in_bounded_steps(
    tmp_path: Path, inbox: SqliteInbox, plans: Plans, source: str
) -> None:
    """A step over event names reads its own range of keys alone, however many entries there are."""
    await keep(inbox, "evt_1")
    [lease] = await inbox.lease(1, LEASE, NOW)
    await inbox.settle([(lease, answered(lease))], NOW)
    plans.statements.clear()
    assert (await inbox.event_names(source, 0, 10)).names
    lines = plans.explain(tmp_path / "inbox.db")
    assert "SEARCH events USING PRIMARY KEY (key>? AND key<?)" in lines
    assert "SEARCH entries USING INTEGER PRIMARY KEY (rowid=?)" in lines
    assert [line for line in lines if line.startswith("SCAN")] == []


async def test_activity_reads_the_newest_and_what_waits(tmp_path: Path, inbox: SqliteInbox, plans: Plans) -> None:
    """What is told of the last minutes is looked up by index; what waits is counted in the indexes of that alone."""
    await keep(inbox, "evt_1", "evt_2")
    [lease] = await inbox.lease(1, LEASE, NOW)
    await inbox.settle([(lease, answered(lease))], NOW)
    plans.statements.clear()
    assert (await inbox.activity(NOW, 10)).settled
    lines = plans.explain(tmp_path / "inbox.db")
    for index in ("entries_received (received_at>?)", "entries_settled (body_kept=? AND settled_at>?)"):
        assert any(index in line for line in lines), index
    for index in ("SCAN entries USING INDEX entries_due", "SCAN entries USING INDEX entries_leased"):
        assert any(line.startswith(index) for line in lines), index
    assert len([line for line in lines if line.startswith("SCAN")]) == 2
