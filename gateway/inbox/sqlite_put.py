"""What the writer thread does to keep deliveries, those of several puts at once, in a transaction that it opens."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from typing import Any

import apsw

from gateway.inbox import sqlite_secrets
from gateway.inbox.contract import Taker
from gateway.inbox.rows import body_row, trace_id
from gateway.inbox.sqlite_connection import insert, over, rows
from gateway.model import Delivery, Entry, Lease, Receipt, State
from gateway.value import value

# The last key, and the numbers of the deliveries of which the id or the digest is there, whether remembered or not.
_CLAIMED = """
WITH sought (n, source, delivery_id, digest) AS ({values})
SELECT (SELECT seq FROM sqlite_sequence WHERE name = 'entries'), json_group_array(n) FROM sought
WHERE EXISTS (
    SELECT 1 FROM entries JOIN dedupe ON dedupe.key = entries.key
    WHERE entries.delivery_id = sought.delivery_id AND entries.source = sought.source)
  OR EXISTS (SELECT 1 FROM dedupe WHERE dedupe.source = sought.source AND dedupe.digest = sought.digest)
"""
_REMEMBERED = "SELECT dedupe.key, first_seen, delivery_id FROM entries JOIN dedupe ON dedupe.key = entries.key WHERE"
_BY_ID = f"{_REMEMBERED} entries.source = ? AND delivery_id = ? AND expires_at >= ?"
_BY_DIGEST = f"{_REMEMBERED} dedupe.source = ? AND digest = ? AND expires_at >= ?"
_BY_EITHER = f"{_BY_ID} UNION ALL {_BY_DIGEST}"
_COUNT_RESEND = "UPDATE dedupe SET hits = hits + 1, last_seen = ? WHERE key = ?"
_FORGET = "DELETE FROM dedupe WHERE key IN (SELECT key FROM entries WHERE source = ? AND delivery_id = ?)"
_CLAIM = "INSERT OR REPLACE INTO dedupe (key, source, digest, first_seen, expires_at) {values}"
_KEEP_ENTRY = (
    "INSERT INTO entries (key, source, provider, delivery_id, type, trace_id, received_at, state, due_at, "
    "lease, leased_until) {values}"
)
_KEEP_BODY = "INSERT INTO bodies (key, metadata, body, content) {values}"


@value
class Put:
    """Deliveries to keep at `now` and to remember until `until`; with `count_secrets` their secrets are counted.

    With a `taker` the entries are leased to it under `token` until `leased_until`.
    """

    deliveries: Sequence[Delivery]
    now: int
    until: int
    count_secrets: bool = False
    taker: Taker | None = None
    token: str | None = None
    leased_until: int | None = None

    def hand_over(self, receipts: Sequence[Receipt]) -> None:
        """Give the taker the new entries, none where nothing was kept."""
        if self.taker is None:
            return
        leases = [
            Lease(Entry(receipt.key, delivery, State.LEASED, self.now), self.token or "", self.leased_until or 0)
            for delivery, receipt in zip(self.deliveries, receipts, strict=False)
            if not receipt.duplicate
        ]
        self.taker.take(self.deliveries, leases)


_Sought = tuple[int, str, str, bytes | None]


@value
class _New:
    """One delivery, the put it is of, and the key that its entry gets if it is none's re-send."""

    key: int
    delivery: Delivery
    put: Put
    digest: bytes | None


def put(connection: apsw.Connection, puts: Sequence[Put]) -> list[list[Receipt]]:
    """Claim each id and digest and keep the delivery, or count the re-send; return the receipts of each put.

    A re-send claims nothing: whoever sends old signed bytes under an id of a delivery to come must not take that id.
    """
    for each in puts:
        if each.count_secrets:
            sqlite_secrets.count(connection, each.deliveries)
    given = [(each, delivery) for each in puts for delivery in each.deliveries]
    sought = [(n, one.source, one.id, bytes.fromhex(one.digest) or None) for n, (_, one) in enumerate(given, start=1)]
    last, claimed = _claimed(connection, sought)
    plain: list[_New] = []
    doubtful: list[_New] = []
    seen: set[tuple[str, str | bytes]] = set()
    for (each, delivery), (n, source, name, digest) in zip(given, sought, strict=True):
        new = _New(last + n, delivery, each, digest)
        known = (source, name) in seen or (digest is not None and (source, digest) in seen)
        (doubtful if known or n in claimed else plain).append(new)
        seen.add((source, name))
        if digest is not None:
            seen.add((source, digest))
    _keep(connection, plain)
    receipts = {new.key: Receipt(new.key, False, new.put.now) for new in plain}
    receipts |= {new.key: _put_one(connection, new) for new in doubtful}
    told = map(receipts.__getitem__, range(last + 1, last + 1 + len(given)))
    return [list(islice(told, len(each.deliveries))) for each in puts]


def _claimed(connection: apsw.Connection, sought: Sequence[_Sought]) -> tuple[int, set[int]]:
    """Return the last key, and the numbers of those that may be re-sends of what was kept before."""
    last, claimed = 0, set[int]()
    for statement, values in over(_CLAIMED, sought):
        [(key, found)] = rows(connection, statement, values)
        last = key or 0
        claimed.update(json.loads(found))
    return last, claimed


def _keep(connection: apsw.Connection, news: Sequence[_New]) -> None:
    entries, bodies, claims = [], [], []
    for new in news:
        delivery, put = new.delivery, new.put
        narrow = (delivery.source, delivery.provider, delivery.id, delivery.type, trace_id(delivery))
        state = "leased" if put.taker else "pending"
        entries.append((new.key, *narrow, delivery.received_at, state, put.now, put.token, put.leased_until))
        bodies.append((new.key, *body_row(delivery)))
        claims.append((new.key, delivery.source, new.digest, put.now, put.until))
    for statement, kept in ((_KEEP_ENTRY, entries), (_KEEP_BODY, bodies), (_CLAIM, claims)):
        insert(connection, statement, kept)


def _put_one(connection: apsw.Connection, new: _New) -> Receipt:
    delivery, now = new.delivery, new.put.now
    if known := _known(connection, new):
        key, first_seen, name = min(known)
        connection.execute(_COUNT_RESEND, (now, key))
        return Receipt(key, duplicate=True, first_seen_at=first_seen, known_as=name if name != delivery.id else "")
    connection.execute(_FORGET, (delivery.source, delivery.id))
    _keep(connection, [new])
    return Receipt(new.key, duplicate=False, first_seen_at=now)


def _known(connection: apsw.Connection, new: _New) -> list[Any]:
    """Return key, time and id of the entries, two at most, that this is a re-send of."""
    by_id = (new.delivery.source, new.delivery.id, new.put.now)
    if new.digest is None:
        return rows(connection, _BY_ID, by_id)
    return rows(connection, _BY_EITHER, (*by_id, new.delivery.source, new.digest, new.put.now))
