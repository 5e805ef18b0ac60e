"""What the writer thread does for forwarders, in a transaction that it opens and commits: the leases."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import apsw

from gateway.inbox.contract import LEASED_BYTES
from gateway.inbox.sqlite_connection import listed, rows

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
_SIZES = """
SELECT json_group_array(json_array(key, length(body) + coalesce(length(content), 0))) FROM bodies
WHERE key IN (SELECT value FROM json_each(?))
"""
_MEMBERS = "SELECT key FROM entries WHERE batch = ? ORDER BY position"
_LEASE = (
    "UPDATE entries SET state = 'leased', lease = ?, leased_until = ? "
    "WHERE key IN (SELECT value FROM json_each(?)) AND (state = 'pending' OR leased_until < ?)"
)

# One statement for each index that holds leased entries, so that the table itself is not read.
_RELEASE = """
UPDATE entries SET state = 'pending', lease = NULL, leased_until = NULL WHERE state = 'leased' AND batch IS NULL;
UPDATE entries SET state = 'pending', lease = NULL, leased_until = NULL WHERE state = 'leased' AND batch IS NOT NULL;
"""


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
        keys = _within_memory(connection, [key for _, key in free])
    if keys:
        connection.execute(_LEASE, (token, until, json.dumps(keys), now))
    return keys


def _within_memory(connection: apsw.Connection, keys: Sequence[int]) -> list[int]:
    """Return the first of the keys, of whose bodies there is room in memory, or the first one."""
    if not keys:
        return []
    [[told]] = rows(connection, _SIZES, (listed(keys),))
    sizes = dict(json.loads(told))
    before = itertools.accumulate((sizes.get(key, 0) for key in keys), initial=0)
    return [key for key, total in zip(keys, before, strict=False) if total < LEASED_BYTES]


def release(connection: apsw.Connection) -> None:
    """Give back every lease: whoever held one is gone, since the caller holds the file's lock."""
    connection.execute(_RELEASE)


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
