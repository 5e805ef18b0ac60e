"""How often each secret of a source that has several verified a delivery: a small table, a row a day and secret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gateway.inbox.postgres_connections import Connection
from gateway.inbox.postgres_days import day_of
from gateway.inbox.postgres_rows import columns
from gateway.inbox.postgres_text import kept
from gateway.model import Delivery

_USED = """
INSERT INTO secret_uses AS u (day, source, label, uses, last_at)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
ON CONFLICT (day, source, label) DO UPDATE
SET uses = u.uses + excluded.uses, last_at = greatest(u.last_at, excluded.last_at)
"""


async def count(connection: Connection, deliveries: Iterable[Delivery]) -> None:
    """Count the secret that verified each delivery, also where that is a re-send; nothing where none did."""
    uses: Counter[tuple[int, str, str]] = Counter()
    last: dict[tuple[int, str, str], int] = {}
    for delivery in deliveries:
        if delivery.secret is not None:
            row = (day_of(delivery.received_at), kept(delivery.source), kept(str(delivery.secret)))
            uses[row] += 1
            last[row] = max(last.get(row, 0), delivery.received_at)
    if uses:
        await connection.execute(_USED, *columns([(*row, uses[row], last[row]) for row in sorted(uses)], 5))
