"""The state of the way to one event API: healthy, backing off, or paused because of configuration. No I/O."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal

BASE_SECONDS = 1.0
CAP_SECONDS = 300.0
PROBE_SECONDS = 30.0


@dataclass(slots=True)
class Lane:
    """When the next request may be sent. Times are unix milliseconds on a clock that never jumps.

    While `failing` or `paused`, one entry at a time is sent as a probe. Each transition tells whether the state
    changed, so that a change is logged once.
    """

    rng: random.Random
    failures: int = 0
    reason: str = ""
    paused: bool = False
    resume_at: int = 0
    last_success: int | None = None

    @property
    def state(self) -> Literal["healthy", "failing", "paused"]:
        """`healthy`, `failing` or `paused`."""
        if self.paused:
            return "paused"
        return "failing" if self.failures else "healthy"

    def wait(self, now: int) -> float:
        """Return the seconds until the next request may be sent."""
        return max(0, self.resume_at - now) / 1000

    def succeeded(self, now: int) -> bool:
        """Note an accepted request; tell whether that ends a failure or a pause."""
        changed = self.state != "healthy"
        self.failures, self.paused, self.reason, self.resume_at, self.last_success = 0, False, "", 0, now
        return changed

    def failed(self, now: int, reason: str, retry_after: float | None = None) -> bool:
        """Note a fault of the system, and back off with full jitter or as told; tell whether the state changed.

        https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
        """
        changed = self.state != "failing"
        if now >= self.resume_at:
            # Requests that were under way together and fail together are one failure.
            self.failures += 1
        cap = min(CAP_SECONDS, BASE_SECONDS * 2 ** min(self.failures - 1, 16))
        seconds = self.rng.uniform(0, cap) if retry_after is None else retry_after
        self.paused, self.reason = False, reason
        self.resume_at = max(self.resume_at, now + int(seconds * 1000))
        return changed

    def misconfigured(self, now: int, reason: str) -> bool:
        """Pause because of configuration, with a probe from time to time; tell whether state or reason changed."""
        changed = not self.paused or self.reason != reason
        self.paused, self.reason, self.resume_at = True, reason, now + int(PROBE_SECONDS * 1000)
        self.failures = 0
        return changed

    def probe_at_once(self) -> None:
        """Let the next request go now, as after a change of configuration."""
        self.resume_at = 0


class RetryBudget:
    """How many batches may be sent again: a tenth of those sent first, one a second, and a few in reserve.

    So a partly failing event API is not also loaded with retries, and a quiet one is still retried.
    https://sre.google/sre-book/handling-overload/#deciding-to-retry
    """

    SHARE = 0.1
    PER_SECOND = 1.0
    RESERVE = 20.0

    def __init__(self) -> None:
        self._tokens = self.RESERVE
        self._at: int | None = None

    def deposit(self) -> None:
        """Note a batch that is sent for the first time."""
        self._tokens = min(self.RESERVE, self._tokens + self.SHARE)

    def withdraw(self, now: int) -> bool:
        """Take leave to send a batch again at `now` (unix ms); tell whether there is any."""
        elapsed = now - self._at if self._at is not None else 0
        self._at = now
        self._tokens = min(self.RESERVE, self._tokens + elapsed / 1000 * self.PER_SECOND)
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
