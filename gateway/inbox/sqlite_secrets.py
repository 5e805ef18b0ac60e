"""How often each secret of a source that has several verified a delivery: a small table, a row a day and secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import apsw

from gateway.history import SecretUse
from gateway.inbox.sqlite_connection import rows
from gateway.model import Delivery

DAY_MS = 86_400_000

_USED = (
    "INSERT INTO secret_uses (day, source, label, uses, last_at) VALUES (?, ?, ?, 1, ?) "
    "ON CONFLICT (day, source, label) DO UPDATE SET uses = uses + 1, last_at = excluded.last_at"
)
_USES = "SELECT source, label, uses, last_at FROM secret_uses ORDER BY day"
_FORGET = "DELETE FROM secret_uses WHERE day < ?"


def count(connection: apsw.Connection, deliveries: Iterable[Delivery]) -> None:
    """Count the secret that verified each delivery, also where that is a re-send; nothing where none did."""
    for delivery in deliveries:
        if delivery.secret is not None:
            at = delivery.received_at
            connection.execute(_USED, (at // DAY_MS, delivery.source, delivery.secret, at))


def uses(connection: apsw.Connection) -> Mapping[str, Mapping[str, SecretUse]]:
    """Return how often each secret was used, and last, by source and label."""
    found: dict[str, dict[str, SecretUse]] = {}
    for source, label, number, last_at in rows(connection, _USES):
        before = found.setdefault(source, {}).get(label, SecretUse(0, 0))
        found[source][label] = SecretUse(before.count + number, max(before.last_at, last_at))
    return found


def forget(connection: apsw.Connection, before: int) -> None:
    """Forget the days that ended before a time (unix milliseconds)."""
    connection.execute(_FORGET, (before // DAY_MS,))
