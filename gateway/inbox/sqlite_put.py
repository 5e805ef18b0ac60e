"""What the writer thread does to keep deliveries, those of several puts at once, in a transaction that it opens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Sequence
from itertools import islice
from typing import Any

import apsw

from gateway.inbox import sqlite_secrets
from gateway.inbox.contract import Taker
from gateway.inbox.rows import body_row, trace_id
from gateway.inbox.sqlite_connection import insert, last_key, listed, rows
from gateway.model import Delivery, Entry, Lease, Receipt, State
from gateway.value import value

# One statement claims ids and digests and keeps entries, since each is a wait for the interpreter's lock. It passes
# over a delivery of which the id or the digest is there, remembered or not. Bodies would be copied by it.
_PREPARE = """
CREATE TEMP VIEW claims (
  key, source, provider, delivery_id, type, trace_id, received_at, state, lease, leased_until, digest, now, until
) AS VALUES (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13);
CREATE TEMP TRIGGER claim INSTEAD OF INSERT ON claims BEGIN
  SELECT RAISE(IGNORE) WHERE EXISTS (
      SELECT 1 FROM main.entries JOIN main.dedupe ON dedupe.key = entries.key
      WHERE entries.delivery_id = new.delivery_id AND entries.source = new.source)
    OR EXISTS (SELECT 1 FROM main.dedupe WHERE dedupe.source = new.source AND dedupe.digest = new.digest);
  INSERT INTO entries (
    key, source, provider, delivery_id, type, trace_id, received_at, state, due_at, lease, leased_until
  ) VALUES (
    new.key, new.source, new.provider, new.delivery_id, new.type, new.trace_id, new.received_at, new.state, new.now,
    new.lease, new.leased_until
  );
  INSERT INTO dedupe (key, source, digest, first_seen, expires_at)
  VALUES (new.key, new.source, new.digest, new.now, new.until);
END;
"""
_CHANGES_BY_A_CLAIM = 2

_CLAIM = "INSERT INTO temp.claims {values}"
_CLAIMED = "SELECT key FROM entries WHERE key BETWEEN ? AND ?"
_UNDO = (
    "DELETE FROM entries WHERE key IN (SELECT value FROM json_each(?))",
    "DELETE FROM dedupe WHERE key IN (SELECT value FROM json_each(?))",
)
_KEEP_BODY = "INSERT INTO bodies (key, metadata, body, content) {values}"
_REMEMBERED = "SELECT dedupe.key, first_seen, delivery_id FROM entries JOIN dedupe ON dedupe.key = entries.key WHERE"
_BY_ID = f"{_REMEMBERED} entries.source = ? AND delivery_id = ? AND expires_at >= ?"
_BY_DIGEST = f"{_REMEMBERED} dedupe.source = ? AND digest = ? AND expires_at >= ?"
_BY_EITHER = f"{_BY_ID} UNION ALL {_BY_DIGEST}"
_COUNT_RESEND = "UPDATE dedupe SET hits = hits + 1, last_seen = ? WHERE key = ?"
_FORGET_ID = "DELETE FROM dedupe WHERE key IN (SELECT key FROM entries WHERE source = ? AND delivery_id = ?)"
_FORGET_DIGEST = "DELETE FROM dedupe WHERE source = ? AND digest = ?"


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


_New = tuple[int, Delivery, Put]
"""The key that an entry gets if it is none's re-send, its delivery, and the put that this is of."""


class Puts:
    """Keeps deliveries over the one connection that writes, and so knows the last key. What is undone leaves a gap."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._last = last_key(connection)
        connection.execute(_PREPARE)

    def keep(self, puts: Sequence[Put]) -> list[list[Receipt]]:
        """Claim each id and digest and keep the delivery, or count the re-send; return the receipts of each put.

        A re-send claims nothing: whoever sends old signed bytes under an id of a delivery to come must not take that
        id.
        """
        news: list[_New] = []
        for each in puts:
            if each.count_secrets:
                sqlite_secrets.count(self._connection, each.deliveries)
            for delivery in each.deliveries:
                self._last += 1
                news.append((self._last, delivery, each))
        kept = self._keep(news)
        told = iter([Receipt(new[0], False, new[2].now) if new[0] in kept else self._keep_one(new) for new in news])
        return [list(islice(told, len(each.deliveries))) for each in puts]

    def _keep(self, news: Sequence[_New]) -> Container[int]:
        """Keep what is certainly no re-send; return the keys."""
        if not news:
            return ()
        before = self._connection.total_changes()
        insert(self._connection, _CLAIM, [_claim(*new) for new in news])
        first, last = news[0][0], news[-1][0]
        kept: Container[int] = range(first, last + 1)
        if self._connection.total_changes() - before < _CHANGES_BY_A_CLAIM * len(news):
            kept = {key for (key,) in rows(self._connection, _CLAIMED, (first, last))} - self._undo_repeats(news)
        bodies = [(key, *body_row(delivery)) for key, delivery, _ in news if key in kept]
        insert(self._connection, _KEEP_BODY, bodies)
        return kept

    def _undo_repeats(self, news: Sequence[_New]) -> set[int]:
        """Leave those that have something in common for one after the other; return their keys.

        One that was passed over may be kept yet, where it resembles what is remembered no more, and a later one that
        was kept is its re-send then.
        """
        repeats = _repeats(news)
        if repeats:
            for statement in _UNDO:
                self._connection.execute(statement, (listed(sorted(repeats)),))
        return repeats

    def _keep_one(self, new: _New) -> Receipt:
        """Count the delivery as a re-send, or keep it where what it resembles is remembered no more."""
        key, delivery, put = new
        digest = _digest(delivery)
        if known := self._known(delivery, digest, put.now):
            known_key, first_seen, name = min(known)
            self._connection.execute(_COUNT_RESEND, (put.now, known_key))
            return Receipt(
                known_key, duplicate=True, first_seen_at=first_seen, known_as=name if name != delivery.id else ""
            )
        self._connection.execute(_FORGET_ID, (delivery.source, delivery.id))
        self._connection.execute(_FORGET_DIGEST, (delivery.source, digest))
        self._keep([new])
        return Receipt(key, duplicate=False, first_seen_at=put.now)

    def _known(self, delivery: Delivery, digest: bytes | None, now: int) -> list[Any]:
        """Return key, time and id of the entries, two at most, that this is a re-send of."""
        by_id = (delivery.source, delivery.id, now)
        if digest is None:
            return rows(self._connection, _BY_ID, by_id)
        return rows(self._connection, _BY_EITHER, (*by_id, delivery.source, digest, now))


def _repeats(news: Sequence[_New]) -> set[int]:
    """Return the keys of those that have an id or a digest in common."""
    ids = Counter((delivery.source, delivery.id) for _, delivery, _ in news)
    digests = Counter((delivery.source, delivery.digest) for _, delivery, _ in news if delivery.digest)
    return {
        key
        for key, delivery, _ in news
        if ids[delivery.source, delivery.id] > 1 or digests[delivery.source, delivery.digest] > 1
    }


def _claim(key: int, delivery: Delivery, put: Put) -> tuple[Any, ...]:
    return (
        key,
        delivery.source,
        delivery.provider,
        delivery.id,
        delivery.type,
        trace_id(delivery),
        delivery.received_at,
        "leased" if put.taker else "pending",
        put.token,
        put.leased_until,
        _digest(delivery),
        put.now,
        put.until,
    )


def _digest(delivery: Delivery) -> bytes | None:
    return bytes.fromhex(delivery.digest) or None
