"""What forwarders ask for: due entries, each by one of all gateways, and the frozen batches that go whole."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from gateway.inbox.contract import LEASED_BYTES
from gateway.inbox.postgres_connections import Connection
from gateway.inbox.postgres_rows import WIDE, entry
from gateway.inbox.postgres_text import kept
from gateway.model import Entry

# Where several sources wait, none takes more than its share of a lease beyond this.
LEAST_SHARE = 64
# Another gateway may have taken the batch whose turn it was.
TRIES = 3

_FREE = "q.lease IS NULL AND q.batch IS NULL AND q.due_at BETWEEN $6 AND $2"

# Looked for source by source, as the planner would else read the whole index once for all of them.
# How many of each source are the oldest is found without a lock, and that many are then locked of those that nobody
# else has: the next ones where the oldest are taken. A frozen batch that is older than all of them has its turn.
# Rows are changed by a list of keys, as no join can then be made that reads the rest of the queue.
_LEASE = f"""
WITH waiting AS MATERIALIZED (
  SELECT s.source FROM sources s
  CROSS JOIN LATERAL (SELECT FROM queue q WHERE q.source = s.source AND {_FREE} LIMIT 1) first
  WHERE s.source <> ALL ($5::text[])
), candidates AS MATERIALIZED (
  SELECT w.source, c.due_at, c.key, c.bytes, false AS expired
  FROM waiting w CROSS JOIN LATERAL (
    SELECT q.due_at, q.key, q.bytes FROM queue q WHERE q.source = w.source AND {_FREE} ORDER BY q.due_at, q.key
    LIMIT (SELECT least($1::int, greatest($8::int, $1 / greatest(count(*), 1))) FROM waiting)) c
  UNION ALL (
    SELECT q.source, q.due_at, q.key, q.bytes, true FROM queue q
    WHERE q.lease IS NOT NULL AND q.batch IS NULL AND q.leased_until >= $7 AND q.leased_until < $2
      AND q.source <> ALL ($5) ORDER BY q.due_at, q.key LIMIT $1)
), oldest AS MATERIALIZED (
  SELECT *, sum(bytes) OVER (ORDER BY due_at, key) - bytes AS before FROM candidates ORDER BY due_at, key LIMIT $1
), chosen AS MATERIALIZED (
  SELECT * FROM oldest WHERE before < $9::bigint
), batch AS MATERIALIZED (
  SELECT q.due_at, q.key, q.batch FROM queue q
  WHERE q.batch IS NOT NULL AND q.due_at <= $2 AND (q.lease IS NULL OR q.leased_until < $2) AND NOT EXISTS (
    SELECT FROM queue m WHERE m.batch = q.batch AND (m.due_at > $2 OR m.leased_until >= $2 OR m.source = ANY ($5)))
  ORDER BY q.due_at, q.key LIMIT 1
), turn AS MATERIALIZED (
  SELECT b.batch FROM batch b WHERE NOT EXISTS (SELECT FROM chosen c WHERE (c.due_at, c.key) < (b.due_at, b.key))
), taken AS MATERIALIZED (
  SELECT t.key FROM (
    SELECT source, count(*) AS n FROM chosen WHERE NOT expired AND NOT EXISTS (SELECT FROM turn) GROUP BY source) share
  CROSS JOIN LATERAL (
    SELECT q.key FROM queue q WHERE q.source = share.source AND {_FREE}
    ORDER BY q.due_at, q.key LIMIT share.n FOR UPDATE SKIP LOCKED) t
  UNION ALL
  SELECT t.key FROM chosen c CROSS JOIN LATERAL (
    SELECT q.key FROM queue q WHERE q.key = c.key AND q.leased_until < $2 FOR UPDATE SKIP LOCKED) t
  WHERE c.expired AND NOT EXISTS (SELECT FROM turn)
), leased AS (
  UPDATE queue q SET lease = $4::text, leased_until = $3::bigint WHERE q.key = ANY (ARRAY(SELECT key FROM taken))
  RETURNING q.key
)
SELECT key, NULL AS batch FROM leased UNION ALL SELECT NULL, batch FROM turn
UNION ALL (SELECT NULL, NULL FROM candidates WHERE expired LIMIT 1)
"""  # noqa: S608 - fixed fragments
_LEASE_BATCH = """
WITH members AS MATERIALIZED (
  SELECT * FROM queue WHERE batch = $1 FOR UPDATE SKIP LOCKED
), free AS MATERIALIZED (
  SELECT key FROM members
  WHERE due_at <= $2 AND (lease IS NULL OR leased_until < $2) AND source <> ALL ($5::text[])
)
UPDATE queue q SET lease = $4::text, leased_until = $3::bigint
WHERE q.key = ANY (ARRAY(SELECT key FROM free))
  AND (SELECT count(*) FROM free) = (SELECT count(*) FROM queue WHERE batch = $1)
RETURNING q.key
"""
# One look into an index for each row, and the bounds of the keys tell the planner in which days.
_OF_THAT_DAY = "LATERAL (SELECT * FROM {table} WHERE key = leased.key AND key BETWEEN $2 AND $3 LIMIT 1)"
_ENTRIES = f"""
SELECT {WIDE} FROM unnest($1::bigint[]) AS leased (key)
JOIN {_OF_THAT_DAY.format(table="entries")} e ON true
JOIN {_OF_THAT_DAY.format(table="queue")} q ON true
LEFT JOIN {_OF_THAT_DAY.format(table="bodies")} b ON true
LEFT JOIN {_OF_THAT_DAY.format(table="frozen")} f ON true
LEFT JOIN outcomes o ON false LEFT JOIN dedupe d ON false
ORDER BY q.position, q.due_at, q.key
"""  # noqa: S608 - fixed fragments


@dataclass(frozen=True, slots=True)
class Terms:
    """What is to be leased: how many at most, at and until when (unix ms), under which token, and of whom not."""

    limit: int
    now: int
    until: int
    token: str
    exclude: Collection[str]


@dataclass(slots=True)
class Floors:
    """Before which due time, and before which end of a lease, there is nothing to be found (unix ms).

    Rows that are gone stay in the indexes for as long as anyone's transaction may see them; a lease that starts here
    need not step over all of them.
    """

    due: int = 0
    leased: int = 0


@dataclass(frozen=True, slots=True)
class Leased:
    """What a lease took, in order, and whether any lease had ended by then, be it taken over or not."""

    entries: list[Entry]
    ended: bool


async def lease(connection: Connection, terms: Terms, floors: Floors) -> Leased:
    """Lease the oldest free entries, or the frozen batch that is older than all of them."""
    excluded = [kept(source) for source in terms.exclude]
    ended = False
    for _ in range(TRIES):
        found = await connection.fetch(
            _LEASE, terms.limit, terms.now, terms.until, terms.token, excluded,
            floors.due, floors.leased, LEAST_SHARE, LEASED_BYTES,
        )  # fmt: skip
        keys = [key for key, _ in found if key is not None]
        ended = any(key is None and batch is None for key, batch in found)
        if turn := next((batch for _, batch in found if batch is not None), None):
            members = await connection.fetch(_LEASE_BATCH, turn, terms.now, terms.until, terms.token, excluded)
            keys = [key for (key,) in members]
        if keys:
            return Leased(await _entries(connection, keys), ended)
        if turn is None:
            break
    return Leased([], ended)


async def _entries(connection: Connection, keys: list[int]) -> list[Entry]:
    records: list[Any] = await connection.fetch(_ENTRIES, keys, min(keys), max(keys))
    return [entry(record) for record in records]
