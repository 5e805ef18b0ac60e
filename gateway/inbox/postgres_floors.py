"""Where a lease starts to look, so that rows that are gone but not yet cleaned away cost it nothing.

While anyone's transaction is open, PostgreSQL keeps every row that was there when it began: after ten minutes at a
thousand deliveries a second a lease would step over six hundred thousand index entries before it finds the first that
counts. https://www.postgresql.org/docs/current/routine-vacuuming.html
"""

from __future__ import annotations

import math

from gateway.inbox.postgres_connections import Connection
from gateway.inbox.postgres_leases import Floors, Leased

# A put that is still on its way to its commit may be due this much earlier than now. One that took longer is found by
# the next look, which starts that much lower, and anything else by the one that looks from the very beginning.
MARGIN_MS = 3_000
LATE_MS = 30_000
LOOKS_BETWEEN = 30
# What another gateway put a moment ago may be committed after what was put later; it leases that itself, as a rule.
COMMIT_MS = 250

_OLDEST = """
SELECT min(due_at) FROM sources s CROSS JOIN LATERAL (
  SELECT q.due_at FROM queue q
  WHERE q.source = s.source AND q.lease IS NULL AND q.batch IS NULL AND q.due_at >= $1
  ORDER BY q.due_at LIMIT 1) oldest
"""
_FIRST_TO_END = """
SELECT min(leased_until) FROM queue WHERE lease IS NOT NULL AND batch IS NULL AND leased_until >= $1
"""


class FloorGauge:
    """The floors of one process: its own changes lower them at once, and a look from time to time raises them."""

    def __init__(self) -> None:
        self.floors = Floors()
        self._due_meanwhile: float = math.inf
        self._leased_meanwhile: float = math.inf
        self._due_during_lease: float = math.inf
        self._looks = 0

    def begin_lease(self) -> Floors:
        """Return the floors for a lease that starts now; one at a time is followed."""
        self._due_during_lease = math.inf
        return self.floors

    def end_lease(self, leased: Leased, now: int) -> None:
        """Tell what a lease of all sources at `now` found, as nothing older is left.

        A frozen batch does not tell what else is due. Leases last far longer than a commit, so none ends unseen.
        """
        found = leased.entries
        if found and not found[0].frozen:
            oldest = min(entry.due_at for entry in found)
            self.floors.due = max(self.floors.due, int(min(oldest - COMMIT_MS, self._due_during_lease)))
        if not leased.ended:
            self.floors.leased = max(self.floors.leased, now - COMMIT_MS)

    def lower(self, due_at: int) -> None:
        """Tell that something became due at a time."""
        self.floors.due = min(self.floors.due, due_at)
        self._due_meanwhile = min(self._due_meanwhile, due_at)
        self._due_during_lease = min(self._due_during_lease, due_at)

    def lower_leased(self, until: int) -> None:
        """Tell that something is leased until a time."""
        self.floors.leased = min(self.floors.leased, until)
        self._leased_meanwhile = min(self._leased_meanwhile, until)

    async def raise_(self, connection: Connection, now: int) -> None:
        """Look for the oldest that is due and the first lease to end, and raise the floors to just below them."""
        self._due_meanwhile = self._leased_meanwhile = math.inf
        late = LATE_MS if self._looks % LOOKS_BETWEEN else now
        self._looks += 1
        oldest = await connection.fetchval(_OLDEST, self.floors.due - late)
        first_to_end = await connection.fetchval(_FIRST_TO_END, self.floors.leased - late)
        latest = now - MARGIN_MS
        self.floors.due = int(min(latest, self._due_meanwhile, latest if oldest is None else oldest))
        self.floors.leased = int(min(latest, self._leased_meanwhile, latest if first_to_end is None else first_to_end))
