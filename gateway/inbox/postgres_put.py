"""What keeps deliveries: the ids and digests that are known, the claims of new ones, and the rows of their entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.errors import InboxUnavailable
from gateway.inbox.intake import size_of
from gateway.inbox.postgres_connections import Connection
from gateway.inbox.postgres_days import NUMBER_BITS, day_of
from gateway.inbox.postgres_rows import columns
from gateway.inbox.postgres_text import is_whole, kept, name, told
from gateway.inbox.rows import body_row, trace_id
from gateway.model import Delivery, Receipt

# Each round loses ids to who claims them at the same moment, and then finds them known.
MOST_ROUNDS = 20

# One look into an index for each, whatever the planner makes of a table that has no statistics yet.
_KNOWN = """
SELECT d.* FROM unnest($1::text[], $2::text[]) AS sent (source, delivery_id) CROSS JOIN LATERAL (
  SELECT d.source, d.delivery_id, d.digest, d.key, d.first_seen, d.expires_at FROM dedupe d
  WHERE d.source = sent.source AND d.delivery_id = sent.delivery_id LIMIT 1) d
UNION
SELECT d.* FROM unnest($3::text[], $4::bytea[]) AS sent (source, digest) CROSS JOIN LATERAL (
  SELECT d.source, d.delivery_id, d.digest, d.key, d.first_seen, d.expires_at FROM dedupe d
  WHERE d.source = sent.source AND d.digest = sent.digest LIMIT 1) d
"""

# Who waits for another's claim must not be waited for by it, so all claim in one order. Keys are in the order of the
# deliveries also where one is claimed in a later round, as it has the key that it was given in the first.
_KEEP = f"""
WITH sent AS MATERIALIZED (
  SELECT coalesce(s.given, (s.day << {NUMBER_BITS}) + nextval('keys')) AS key, s.*
  FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
    $9::bigint[], $10::text[], $11::bytea[], $12::bigint[], $13::bigint[], $14::int[], $15::bytea[], $16::bytea[],
    $17::bytea[])
    AS s (n, given, day, source, provider, delivery_id, type, trace_id, received_at, name, digest, now, expires_at,
      bytes, metadata, body, content)
), claimed AS (
  INSERT INTO dedupe (source, delivery_id, digest, key, first_seen, expires_at)
  SELECT source, name, digest, key, now, expires_at FROM sent ORDER BY source, name
  ON CONFLICT DO NOTHING RETURNING key
), tried AS (
  SELECT sent.*, claimed.key IS NOT NULL AS is_new FROM sent LEFT JOIN claimed ON claimed.key = sent.key
), kept_entries AS (
  INSERT INTO entries (key, source, provider, delivery_id, type, trace_id, received_at, digest, expires_at)
  SELECT key, source, provider, delivery_id, type, trace_id, received_at, digest, expires_at FROM tried WHERE is_new
), kept_bodies AS (
  INSERT INTO bodies (key, metadata, body, content) SELECT key, metadata, body, content FROM tried WHERE is_new
), waiting AS (
  INSERT INTO queue (key, source, received_at, due_at, bytes)
  SELECT key, source, received_at, now, bytes FROM tried WHERE is_new
)
SELECT n, key, is_new FROM tried
"""  # noqa: S608 - a number
_FORGET_EXPIRED = """
DELETE FROM dedupe d USING unnest($1::text[], $2::text[], $3::bigint[]) AS gone (source, delivery_id, key)
WHERE d.source = gone.source AND d.delivery_id = gone.delivery_id AND d.key = gone.key
"""
_COUNT_RESENDS = """
UPDATE dedupe d SET hits = d.hits + again.hits, last_seen = greatest(coalesce(d.last_seen, 0), again.at)
FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[]) AS again (source, delivery_id, hits, at)
WHERE d.source = again.source AND d.delivery_id = again.delivery_id
"""
_NAME_SOURCES = "INSERT INTO sources SELECT unnest($1::text[]) ON CONFLICT DO NOTHING"


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery to keep: when it was put, and until when its id and digest are remembered (unix ms)."""

    delivery: Delivery
    now: int
    until: int


@dataclass(frozen=True, slots=True, order=True)
class _Known:
    """An entry that re-sends are known by, under the name that its id has in the table."""

    key: int
    first_seen: int
    name: str
    expires_at: int = field(compare=False)


@dataclass(slots=True)
class _Group:
    """What is found out, round by round, about the deliveries of one transaction."""

    sent: Sequence[Sent]
    given: dict[int, int] = field(default_factory=dict)  # keys by position, of those not claimed at the first try
    keys: dict[int, int] = field(default_factory=dict)  # of the new ones
    known: dict[int, _Known] = field(default_factory=dict)  # what the others are re-sends of
    same: dict[int, int] = field(default_factory=dict)  # or the position of the new one before them

    def first(self, n: int) -> _Known:
        """Return the entry that a re-send belongs to."""
        if n in self.known:
            return self.known[n]
        first = self.sent[self.same[n]]
        return _Known(self.keys[self.same[n]], first.now, name(first.delivery.id), first.until)


async def put(connection: Connection, sent: Sequence[Sent]) -> list[Receipt]:
    """Claim ids and digests and keep what is new, or count re-sends; a re-send claims nothing.

    As almost everything is new, it is claimed first, and only what was not got is looked for. Where two have an id or a
    digest in common, what the second one is depends on whether the first is new, so those are looked for before.

    Several gateways may claim one id at the same moment: one of them gets it, and the others look again.
    """
    group = _Group(sent)
    known = [] if _are_apart(sent) else await _known(connection, sent)
    for _ in range(MOST_ROUNDS):
        claims, expired = _resolve(group, known)
        if expired:
            await connection.execute(_FORGET_EXPIRED, *columns(expired, 3))
        rows = [_row(n, group.given.get(n), sent[n]) for n in claims]
        for n, key, is_new in await connection.fetch(_KEEP, *columns(rows, 17)) if rows else []:
            (group.keys if is_new else group.given)[n] = key
        if all(n in group.keys for n in claims):
            await _count_resends(connection, group)
            return [await _receipt(connection, group, n) for n in range(len(sent))]
        known = await _known(connection, [one for n, one in enumerate(sent) if n not in group.keys])
    raise InboxUnavailable("others claimed the same ids again and again; send again")


async def name_sources(connection: Connection, sources: Iterable[str]) -> None:
    """List sources, so that their entries are found when they are due."""
    await connection.execute(_NAME_SOURCES, sorted(map(kept, sources)))


def _resolve(group: _Group, rows: Iterable[Any]) -> tuple[list[int], list[tuple[str, str, int]]]:
    """Decide in order what each delivery is; return the positions that are new, and the claims that have ended."""
    by_name: dict[tuple[str, str | bytes], list[_Known]] = {}
    for source, id_name, digest, key, first_seen, expires_at in rows:
        found = _Known(key, first_seen, id_name, expires_at)
        by_name.setdefault((source, id_name), []).append(found)
        if digest is not None:
            by_name.setdefault((source, digest), []).append(found)
    mine: dict[tuple[str, str | bytes], int] = {}
    claims: list[int] = []
    expired: set[tuple[str, str, int]] = set()
    group.known, group.same = {}, {}
    for n, one in enumerate(group.sent):
        if n in group.keys:
            continue
        names = _names(one.delivery)
        matches = [match for known_by in names for match in by_name.get(known_by, ())]
        if alive := [match for match in matches if match.expires_at >= one.now]:
            group.known[n] = min(alive)
        elif before := [mine[known_by] for known_by in names if known_by in mine]:
            group.same[n] = min(before)
        else:
            claims.append(n)
            mine |= dict.fromkeys(names, n)
            expired |= {(kept(one.delivery.source), match.name, match.key) for match in matches}
    return claims, sorted(expired)


def _names(delivery: Delivery) -> list[tuple[str, str | bytes]]:
    """Return what a delivery is known by: its id as text and, where it has one, its digest as bytes."""
    source = kept(delivery.source)
    by_id = (source, name(delivery.id))
    return [by_id, (source, bytes.fromhex(delivery.digest))] if delivery.digest else [by_id]


def _are_apart(sent: Sequence[Sent]) -> bool:
    """Tell whether no two deliveries have an id or a digest of one source in common."""
    names = [known_by for one in sent for known_by in _names(one.delivery)]
    return len(set(names)) == len(names)


async def _known(connection: Connection, sent: Sequence[Sent]) -> list[Any]:
    names = {known_by for one in sent for known_by in _names(one.delivery)}
    ids = sorted((source, text) for source, text in names if isinstance(text, str))
    digests = sorted((source, digest) for source, digest in names if isinstance(digest, bytes))
    found: list[Any] = await connection.fetch(_KNOWN, *columns(ids, 2), *columns(digests, 2))
    return found


async def _count_resends(connection: Connection, group: _Group) -> None:
    hits: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], int] = {}
    for n in (*group.known, *group.same):
        one = group.sent[n]
        first = (kept(one.delivery.source), group.first(n).name)
        hits[first] += 1
        last[first] = max(last.get(first, 0), one.now)
    if hits:
        rows = [(*first, hits[first], last[first]) for first in sorted(hits)]
        await connection.execute(_COUNT_RESENDS, *columns(rows, 4))


async def _receipt(connection: Connection, group: _Group, n: int) -> Receipt:
    sent = group.sent[n]
    if n in group.keys:
        return Receipt(group.keys[n], duplicate=False, first_seen_at=sent.now)
    first = group.first(n)
    known_as = "" if first.name == name(sent.delivery.id) else first.name
    if not is_whole(known_as):
        known_as = await connection.fetchval("SELECT delivery_id FROM entries WHERE key = $1", first.key) or ""
    return Receipt(first.key, duplicate=True, first_seen_at=first.first_seen, known_as=told(known_as))


def _row(n: int, given: int | None, one: Sent) -> tuple[Any, ...]:
    delivery = one.delivery
    names = (delivery.source, delivery.provider, delivery.id, delivery.type, trace_id(delivery))
    digest = bytes.fromhex(delivery.digest) or None
    narrow = (delivery.received_at, name(delivery.id), digest, one.now, one.until, size_of(delivery))
    return (n, given, day_of(one.now), *map(kept, names), *narrow, *body_row(delivery))
