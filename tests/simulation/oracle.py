"""What an observer outside the gateway knows, and the invariants that must hold for it.

I1 nothing acknowledged is lost; I2 everything accepted ends; I3 same id, same bytes; I4 nothing unverified is
forwarded; I5 a re-send makes no second event; I6 no dead letter for a fault of the system; I7 all is bounded.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

from gateway.model import Lease, Receipt, Settlement, State

MOST_TASKS = 60
TOO_LARGE = 413
REFUSED = 400


class InvariantError(AssertionError):
    """The gateway broke its promise."""


def require(holds: object, sentence: str) -> None:
    """Raise InvariantError with the sentence unless the condition holds."""
    if not holds:
        raise InvariantError(sentence)


def digest(data: bytes) -> bytes:
    """Return what stands for a body."""
    return hashlib.sha256(data).digest()


class Oracle:
    """Notes what was acknowledged, what arrived and what was settled, and objects at once."""

    def __init__(self) -> None:
        self.expected: dict[str, set[str]] = {}
        self.own_fault: set[str] = set()
        self.acknowledged: set[str] = set()
        self.ended: dict[str, State] = {}
        self.arrivals: dict[str, int] = {}
        self.broken: list[str] = []
        self.outside = 0
        self.counted: dict[str, int] = {}
        self._forms: dict[str, bytes] = {}
        self._bodies: dict[str, bytes] = {}
        self._frozen: dict[str, str] = {}
        self._doubtful: dict[str, str] = {}
        self._halved = False
        self._forwarded: set[str] = set()

    def _hold(self, holds: object, sentence: str) -> None:
        """Object, and remember it: the gateway survives what is raised inside it."""
        if not holds:
            self.broken.append(sentence)
            raise InvariantError(sentence)

    def count(self, what: str) -> None:
        """Count something that shows that the simulation does what it is for."""
        self.counted[what] = self.counted.get(what, 0) + 1

    def acknowledge(self, name: str, receipt: Receipt) -> None:
        """Note a 2xx to the provider."""
        self._hold(name in self.expected, f"I4: {name} is not genuine and was acknowledged")
        self._hold(receipt.duplicate or name not in self.acknowledged, f"I5: the re-send of {name} was taken for new")
        self.count("absorbed" if receipt.duplicate else "accepted")
        self.acknowledged.add(name)

    def request(self, body: bytes, seed: str, ids: Sequence[str]) -> None:
        """Note a request at the event API's door."""
        known = self._bodies.setdefault(seed, digest(body))
        self._hold(known == digest(body), "I3: two bodies under one seed")
        for event_id in ids:
            self._doubtful.pop(event_id, None)
            frozen = self._frozen.get(event_id, seed)
            self._hold(frozen == seed, f"I3: {event_id} left its frozen batch")
            self._hold(
                event_id not in self._forwarded, f"I5: {event_id} was sent again after it was settled as forwarded"
            )
        self._hold(len(asyncio.all_tasks()) <= self.outside + MOST_TASKS, "I7: tasks pile up")

    def answer(self, ids: Sequence[str], seed: str, status: int | None) -> None:
        """Note what the gateway is told of a request: a status, or None where it can know nothing of its fate."""
        if status == TOO_LARGE:
            self._halved = True  # from now on a batch may need several requests, and then it is not frozen
        for event_id in ids:
            if status is None:
                self._doubtful[event_id] = seed
            elif status in {TOO_LARGE, REFUSED}:
                self._frozen.pop(event_id, None)

    def arrive(self, event_id: str, form: bytes) -> None:
        """Note an event that the event API keeps."""
        self.arrivals[event_id] = self.arrivals.get(event_id, 0) + 1
        self._hold(self._forms.setdefault(event_id, digest(form)) == digest(form), f"I3: {event_id} has two forms")

    def settle(self, lease: Lease, settlement: Settlement) -> None:
        """Note a settlement that is on disk."""
        name = lease.entry.delivery.id
        ids = [event.id for event in settlement.events]
        for event_id in ids:
            self._frozen.pop(event_id, None)
            seed = settlement.frozen.seed if settlement.frozen else None
            if seed:
                self._frozen[event_id] = seed
            doubtful = self._doubtful.pop(event_id, seed)
            self._hold(doubtful == seed or self._halved, f"I3: nobody knows of {event_id}, and its batch is not kept")
        if settlement.state is State.PENDING:
            return
        self._hold(name not in self.ended, f"I2: {name} ended twice")
        self.ended[name] = settlement.state
        if settlement.state is State.FORWARDED:
            self._forwarded.update(ids)
            missing = [event_id for event_id in ids if event_id not in self.arrivals]
            self._hold(not missing, f"I1: {name} counts as forwarded, and {missing} never arrived")
        if settlement.state is State.DEAD:
            self._hold(name in self.own_fault, f"I6: {name} is dead through no fault of its own: {settlement.reason}")

    def is_through(self) -> bool:
        """Tell whether everything acknowledged has ended."""
        return all(name in self.ended for name in self.acknowledged)

    def close(self) -> None:
        """Check what holds at the end."""
        lost = sorted(self.acknowledged - self.ended.keys())
        self._hold(not lost, f"I1, I2: acknowledged and never ended: {lost}")
        self._hold(self.acknowledged == self.expected.keys(), "every genuine delivery is acknowledged in the end")
        allowed = set().union(*self.expected.values())
        strange = sorted(self.arrivals.keys() - allowed)
        self._hold(not strange, f"I4, I5: arrived and nobody meant them: {strange}")
        missing = sorted(
            event_id
            for name, ids in self.expected.items()
            if self.ended[name] is State.FORWARDED
            for event_id in ids
            if event_id not in self.arrivals
        )
        self._hold(not missing, f"I1: never arrived: {missing}")
        alive = sorted(name for name in self.own_fault if self.ended[name] is not State.DEAD)
        self._hold(not alive, f"I2: to blame and not dead: {alive}")
