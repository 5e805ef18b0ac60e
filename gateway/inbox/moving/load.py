"""Write records into the PostgreSQL inbox, many in one transaction: ids first, then the rows of those that are new."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from gateway.inbox import postgres_days
from gateway.inbox.moving.record import Record
from gateway.inbox.postgres_connections import Connection
from gateway.inbox.postgres_days import day_of, first_key
from gateway.inbox.postgres_put import name_sources
from gateway.inbox.postgres_rows import columns
from gateway.inbox.postgres_text import kept, name

# An unfinished entry arrives leased to its move for ever, so that no gateway forwards it before all was compared.
HELD_UNTIL = 1 << 53

NOW = "SELECT greatest((extract(epoch FROM clock_timestamp()) * 1000)::bigint, reached) FROM timeline WHERE id = 1"
_NUMBERS = "SELECT nextval('keys') FROM generate_series(1, $1)"
# Retention drops a day after taking a stronger lock, so a day that is there now stays there until the commit.
_LOCK = "LOCK TABLE ONLY entries, ONLY bodies IN ROW EXCLUSIVE MODE"
_TAKEN = """
SELECT d.source, d.delivery_id, d.digest, d.key, d.expires_at
FROM unnest($1::text[], $2::text[]) AS c (source, delivery_id)
JOIN dedupe d ON d.source = c.source AND d.delivery_id = c.delivery_id
UNION
SELECT d.source, d.delivery_id, d.digest, d.key, d.expires_at
FROM unnest($1::text[], $3::bytea[]) AS c (source, digest)
JOIN dedupe d ON d.source = c.source AND d.digest = c.digest
"""
_FORGET_EXPIRED = """
DELETE FROM dedupe d USING unnest($1::text[], $2::text[], $3::bigint[]) AS gone (source, delivery_id, key)
WHERE d.source = gone.source AND d.delivery_id = gone.delivery_id AND d.key = gone.key
"""
_CLAIM = """
INSERT INTO dedupe (source, delivery_id, digest, key, first_seen, expires_at, hits, last_seen)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::int[],
  $8::bigint[])
ON CONFLICT DO NOTHING RETURNING key
"""
_COUNT_RESEND = """
UPDATE dedupe SET hits = hits + $3, last_seen = greatest(coalesce(last_seen, 0), $4)
WHERE source = $1 AND delivery_id = $2
"""
_COLUMNS = {
    "entries": "key source provider delivery_id type trace_id received_at digest expires_at",
    "outcomes": "key source state due_at attempts generation reason rejections rejected_at settled_at forget_at "
    "transform transform_ms",
    "queue": "key source received_at due_at bytes attempts generation reason rejections rejected_at lease "
    "leased_until batch position transform transform_ms",
    "bodies": "key metadata body content",
    "frozen": "key seed events",
    "attempts": "key number at duration_ms outcome status detail",
    "events": "key n id name event_api_id",
}


@dataclass(frozen=True, slots=True)
class Copied:
    """A record's fate: its key here, None where its id was known and it was absorbed; whether it has its id."""

    record: Record
    key: int | None
    claimed: bool


async def load(connection: Connection, records: Sequence[Record], holder: str) -> list[Copied]:
    """Write records in ascending order of their keys; `holder` is the lease under which unfinished ones are held.

    One whose id or digest a delivery here has, and still has, is a re-send of it: counted, and not written. A member
    of a frozen batch is written all the same, as the batch would be another one without it.
    """
    now = int(await connection.fetchval(NOW))
    days = [min(max(_put_at(record) // postgres_days.DAY_MS, 0), day_of(now)) for record in records]
    await connection.execute(_LOCK)
    await _make_days(connection, set(days))
    await name_sources(connection, {record.narrow.source for record in records})
    numbers = await connection.fetch(_NUMBERS, len(records))
    keyed = [(first_key(day) + n, record) for day, (n,), record in zip(days, numbers, records, strict=True)]
    claimed, absorbed = await _claim(connection, keyed, now)
    new = [(key, record) for key, record in keyed if key not in absorbed]
    for table, rows in _rows(new, holder):
        await connection.copy_records_to_table(table, records=rows, columns=_COLUMNS[table].split())
    return [Copied(record, None if key in absorbed else key, key in claimed) for key, record in keyed]


async def _make_days(connection: Connection, days: set[int]) -> None:
    """Make the partitions of days that have none, or whose bodies retention has taken."""
    entries, bodies = await postgres_days.existing(connection)
    if days - (entries & bodies):
        await postgres_days.make(connection, days)


def _put_at(record: Record) -> int:
    """Return when a record's delivery was put (unix ms), or when it was received where that is forgotten."""
    return record.claim.first_seen if record.claim else record.narrow.received_at


async def _claim(
    connection: Connection, keyed: Sequence[tuple[int, Record]], now: int
) -> tuple[set[int], dict[int, tuple[str, str]]]:
    """Claim ids and digests; return the keys that have theirs, and by key what absorbs others, and count those."""
    claims = sorted((_claim_row(key, record) for key, record in keyed if record.claim), key=itemgetter(0, 1))
    living = [row for row in claims if row[5] >= now]
    taken = await _taken(connection, living)
    if expired := [(source, known, key) for source, known, _, key, expires_at in taken if expires_at < now]:
        await connection.execute(_FORGET_EXPIRED, *columns(sorted(expired), 3))
    claimed = {key for (key,) in await connection.fetch(_CLAIM, *columns(claims, 8))} if claims else set()
    lost = [row for row in living if row[3] not in claimed]
    absorbing = _first_known(lost, await _taken(connection, lost))
    for *_, key, first_seen, _, hits, last_seen in lost:  # seldom any, and several may be of one
        if key in absorbing:
            await connection.execute(_COUNT_RESEND, *absorbing[key], 1 + hits, last_seen or first_seen)
    frozen = {key for key, record in keyed if record.share}
    return claimed, {key: known for key, known in absorbing.items() if key not in frozen}


async def _taken(connection: Connection, claims: Sequence[tuple[Any, ...]]) -> list[Any]:
    found: list[Any] = await connection.fetch(_TAKEN, *columns([row[:3] for row in claims], 3)) if claims else []
    return found


def _first_known(lost: Sequence[tuple[Any, ...]], taken: Iterable[Any]) -> dict[int, tuple[str, str]]:
    """Return, by the key of each claim that was lost, source and name of the oldest entry that has its id or digest."""
    by_name: dict[tuple[str, Any], list[tuple[int, str, str]]] = {}
    for source, known, digest, key, _ in taken:
        for each in (known, digest):
            if each is not None:
                by_name.setdefault((source, each), []).append((key, source, known))
    found = {}
    for source, known, digest, key, *_ in lost:
        if matches := [*by_name.get((source, known), ()), *by_name.get((source, digest), ())]:
            found[key] = min(matches)[1:]
    return found


def _claim_row(key: int, record: Record) -> tuple[Any, ...]:
    narrow, claim = record.narrow, record.claim
    return (kept(narrow.source), name(narrow.delivery_id), narrow.digest, key, *(claim or ()))


def _rows(keyed: Sequence[tuple[int, Record]], holder: str) -> Iterable[tuple[str, list[tuple[Any, ...]]]]:
    """Yield the rows of each table, where there are any."""
    finished = [(key, record) for key, record in keyed if record.finished]
    waiting = [(key, record) for key, record in keyed if not record.finished]
    tables: dict[str, list[tuple[Any, ...]]] = {
        "entries": [(key, *map(_text, record.narrow)) for key, record in keyed],
        "outcomes": [_outcome(key, record) for key, record in finished],
        "queue": [_waiting(key, record, holder) for key, record in waiting],
        "bodies": [(key, *record.body) for key, record in keyed if record.body],
        "frozen": [(key, *map(_text, record.share)) for key, record in keyed if record.share],
        "attempts": [(key, *map(_text, life)) for key, record in keyed for life in record.attempts],
        "events": [(key, *map(_text, life)) for key, record in keyed for life in record.events],
    }
    return ((table, rows) for table, rows in tables.items() if rows)


def _outcome(key: int, record: Record) -> tuple[Any, ...]:
    one = record.standing
    told = (one.state, one.due_at, one.attempts, one.generation, kept(one.reason), one.rejections, one.rejected_at)
    return (key, kept(record.narrow.source), *told, one.settled_at, one.forget_at, *_run(record))


def _waiting(key: int, record: Record, holder: str) -> tuple[Any, ...]:
    one, narrow = record.standing, record.narrow
    told = (one.attempts, one.generation, kept(one.reason), one.rejections, one.rejected_at, holder, HELD_UNTIL)
    share = (_text(one.batch), one.position)
    return (key, kept(narrow.source), narrow.received_at, one.due_at, record.size, *told, *share, *_run(record))


def _run(record: Record) -> tuple[Any, ...]:
    return _text(record.standing.transform), record.standing.transform_ms


def _text(value: Any) -> Any:
    return kept(value) if isinstance(value, str) else value
