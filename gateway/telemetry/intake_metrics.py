"""What is counted of webhook requests."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.model import Delivery
from gateway.telemetry import metric_names as names
from gateway.telemetry.registry import Registry

NO_SOURCE = "unknown"


class IntakeMetrics:
    """Requests, by what became of them. `source` is the name of a configured source, or NO_SOURCE.

    The thread of the event loop alone counts here.
    """

    def __init__(self, made: Registry) -> None:
        self._requests = made.counts(names.REQUESTS)
        self._seconds = made.observed(names.REQUEST_SECONDS)
        self._bytes = made.counts(names.REQUEST_BYTES)
        self._rejections = made.counts(names.REJECTIONS)
        self._verifications = made.counts(names.VERIFICATIONS)
        self._secret_uses = made.counts(names.SECRET_USES)
        self._dedupe_hits = made.counts(names.DEDUPE_HITS)
        self._clock_skew = made.gauges(names.CLOCK_SKEW)
        self._give_up = made.gauges(names.GIVE_UP)
        self._lags: dict[str, int] = {}

    def answered(
        self, source: str, outcome: str, status: int, *, seconds: float, size: int, refusal: str, traceparent: str
    ) -> None:
        """Count a request that was answered; `size` is the bytes of its body, `refusal` the label of the reason."""
        self._requests[source, outcome, status] += 1
        self._seconds[source].observe(seconds, traceparent)
        self._bytes[source] += size
        if refusal:
            self._rejections[source, refusal] += 1

    def verified(self, delivery: Delivery) -> None:
        """Count a delivery that passed, or that is kept although it did not, and note how its time is to ours."""
        if delivery.doubt:
            self._verifications[delivery.source, "failed"] += 1
        elif delivery.verified:
            self._verifications[delivery.source, "passed"] += 1
            if delivery.secret:
                self._secret_uses[delivery.source, delivery.secret] += 1
            if delivery.signed_at is not None:
                lag, lags = delivery.received_at - delivery.signed_at, self._lags
                if delivery.source not in lags or lag < lags[delivery.source]:
                    lags[delivery.source] = lag

    def unverified(self, source: str) -> None:
        """Count a request whose signature was refused."""
        self._verifications[source, "failed"] += 1

    def absorbed(self, source: str, *, by_digest: bool) -> None:
        """Count a re-send."""
        self._dedupe_hits[source, "digest" if by_digest else "id"] += 1

    def end_minute(self) -> None:
        """Show the clock skew that the last minute's promptest requests tell: a late one may have waited anywhere."""
        lags, self._lags = self._lags, {}
        for source, lag in lags.items():
            self._clock_skew[source].set(lag / 1000)

    def give_up(self, seconds: Mapping[str, float]) -> None:
        """Set, by source, how long until the provider gives up; the clocks of other sources do not run."""
        self._give_up.forget()
        for source, left in seconds.items():
            self._give_up[source].set(left)
