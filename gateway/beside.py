"""What a gateway keeps beside its inbox: some is each worker's own, some is their supervisor's alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway import quarantine, refusals
from gateway.admin import address
from gateway.refusals import Refusals


@dataclass(frozen=True, slots=True)
class Part:
    """Which worker of several a gateway is, and the refusals, which its supervisor keeps for all of them."""

    number: int
    refusals: Refusals


class Beside:
    """The files beside an inbox, as a gateway of one process or the `part` of one of several has them.

    `held` are rejected requests, of all workers, and `holding` where this one writes its own.
    """

    def __init__(self, inbox: Path, part: Part | None = None) -> None:
        self._inbox = inbox
        self._part = part
        self.held = quarantine.path_of(inbox)
        self.holding = quarantine.path_of(inbox, part.number if part else 0)

    def refusals(self, wall: Callable[[], int]) -> Refusals:
        """Return what providers were refused; `wall` tells the time (unix ms)."""
        return self._part.refusals if self._part else Refusals(refusals.path_of(self._inbox), wall)

    def announce(self, url: str, instance: str) -> None:
        """Say where the admin listener is, and the name that its answers have; of workers, the supervisor says it."""
        if not self._part:
            address.write(self._inbox, address.Address(url, instance))

    def withdraw(self) -> None:
        """Take back what was said; what a killed process left names a port that another program may have."""
        if not self._part:
            address.remove(self._inbox)
