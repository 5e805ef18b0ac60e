"""What the writer thread does for forwarders, in a transaction that it opens and commits: lease and settle."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import apsw

from gateway.errors import LeaseLost
from gateway.inbox.sqlite_connection import rows
from gateway.model import Lease, SentEvent, Settlement, State

_NEXT_SOURCE = "SELECT min(source) FROM entries WHERE state = 'pending' AND batch IS NULL AND source > ?"
_DUE = (
    "SELECT due_at, key FROM entries WHERE state = 'pending' AND batch IS NULL AND source = ? AND due_at <= ? "
    "ORDER BY due_at, key"
)
_EXPIRED = """
SELECT due_at, key FROM entries
WHERE state = 'leased' AND batch IS NULL AND due_at <= :now AND leased_until < :now
  AND source NOT IN (SELECT value FROM json_each(:excluded))
ORDER BY due_at, key
"""

# The oldest frozen batch of which no member waits for its time, is leased by another or is of an excluded source.
_OLDEST_BATCH = """
SELECT due_at, key, batch FROM entries
WHERE batch IS NOT NULL AND due_at <= :now AND (state = 'pending' OR leased_until < :now) AND NOT EXISTS (
  SELECT 1 FROM entries AS member
  WHERE member.batch = entries.batch AND (
    member.due_at > :now OR member.leased_until >= :now
    OR member.source IN (SELECT value FROM json_each(:excluded))))
ORDER BY due_at, key LIMIT 1
"""
_MEMBERS = "SELECT key FROM entries WHERE batch = ? ORDER BY position"
_LEASE = (
    "UPDATE entries SET state = 'leased', lease = ?, leased_until = ? "
    "WHERE key = ? AND (state = 'pending' OR (state = 'leased' AND leased_until < ?))"
)

# One statement for each index that holds leased entries, so that the table itself is not read.
_RELEASE = """
UPDATE entries SET state = 'pending', lease = NULL, leased_until = NULL WHERE state = 'leased' AND batch IS NULL;
UPDATE entries SET state = 'pending', lease = NULL, leased_until = NULL WHERE state = 'leased' AND batch IS NOT NULL;
"""
_SETTLE = (
    "UPDATE entries SET state = ?, due_at = coalesce(?, due_at), attempts = coalesce(?, attempts), reason = ?, "
    "rejections = ?, rejected_at = ?, batch = ?, position = ?, settled_at = ?, lease = NULL, leased_until = NULL, "
    "transform = coalesce(?, transform), transform_ms = coalesce(?, transform_ms) "
    "WHERE key = ? AND state = 'leased' AND lease = ?"
)
_THAW = "DELETE FROM frozen WHERE key = ?"
_FREEZE = "INSERT INTO frozen (key, seed, events) VALUES (?, ?, ?)"
_KEEP_ATTEMPT = (
    "INSERT OR REPLACE INTO attempts (key, number, at, duration_ms, outcome, status, detail) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_FORGET_EVENTS = "DELETE FROM events WHERE key = ?"
_KEEP_EVENT = "INSERT INTO events (key, n, id, name, event_api_id) VALUES (?, ?, ?, ?, ?)"


def lease(
    connection: apsw.Connection, limit: int, until: int, now: int, token: str, *, exclude: Collection[str]
) -> list[int]:
    """Lease under `token` the oldest free entries, or the frozen batch that is older than all of them; return keys."""
    bounds = {"now": now, "excluded": json.dumps([*exclude])}
    free = _oldest_free(connection, limit, bounds, exclude)
    frozen = rows(connection, _OLDEST_BATCH, bounds)
    if frozen and (not free or frozen[0][:2] < free[0]):
        keys = [key for (key,) in rows(connection, _MEMBERS, frozen[0][2:])]
    else:
        keys = [key for _, key in free]
    connection.executemany(_LEASE, [(token, until, key, now) for key in keys])
    return keys


def release(connection: apsw.Connection) -> None:
    """Give back every lease: whoever held one is gone, since the caller holds the file's lock."""
    connection.execute(_RELEASE)


def settle(
    connection: apsw.Connection, settlements: Sequence[tuple[Lease, Settlement]], now: int
) -> list[LeaseLost | None]:
    """Record what became of each lease that is still held."""
    return [_settle_one(connection, held, settlement, now) for held, settlement in settlements]


def _oldest_free(
    connection: apsw.Connection, limit: int, bounds: Mapping[str, Any], exclude: Collection[str]
) -> list[tuple[int, int]]:
    """Return due_at and key of the oldest free entries: each source's are in order already, and are merged lazily.

    So the backlog of an excluded source costs nothing, however large it is.
    """
    with contextlib.ExitStack() as opened:
        streams = [opened.enter_context(contextlib.closing(connection.execute(_EXPIRED, bounds)))]
        for source in _waiting_sources(connection):
            if source not in exclude:
                due = connection.execute(_DUE, (source, bounds["now"]))
                streams.append(opened.enter_context(contextlib.closing(due)))
        return list(itertools.islice(heapq.merge(*streams), limit))


def _waiting_sources(connection: apsw.Connection) -> Iterator[str]:
    source = ""
    while source := rows(connection, _NEXT_SOURCE, (source,))[0][0]:
        yield source


def _settle_one(connection: apsw.Connection, held: Lease, settlement: Settlement, now: int) -> LeaseLost | None:
    key, attempt = held.entry.key, settlement.attempt
    again = settlement.state is State.PENDING
    frozen = settlement.frozen if again else None
    connection.execute(
        _SETTLE,
        (
            settlement.state.value,
            (now if settlement.due_at is None else settlement.due_at) if again else None,
            attempt.number if attempt else None,
            settlement.reason,
            settlement.rejections,
            settlement.rejected_at,
            frozen.batch if frozen else None,
            frozen.position if frozen else None,
            None if again else now,
            settlement.transform.reference if settlement.transform else None,
            settlement.transform.ms if settlement.transform else None,
            key,
            held.token,
        ),
    )
    if connection.changes() == 0:
        return LeaseLost(f"the lease on entry {key} is no longer held: it expired and was taken, or was settled before")
    connection.execute(_THAW, (key,))
    if frozen:
        connection.execute(_FREEZE, (key, frozen.seed, frozen.events))
    if attempt:
        answer = (attempt.number, attempt.at, attempt.duration_ms, attempt.outcome, attempt.status, attempt.detail)
        connection.execute(_KEEP_ATTEMPT, (key, *answer))
    if settlement.events:
        _replace_events(connection, key, settlement.events)
    return None


def _replace_events(connection: apsw.Connection, key: int, events: Iterable[SentEvent]) -> None:
    connection.execute(_FORGET_EVENTS, (key,))
    sent = [(key, n, event.id, event.name, event.event_api_id) for n, event in enumerate(events, start=1)]
    connection.executemany(_KEEP_EVENT, sent)
