"""What is counted of forwarding."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.model import Delivery, Settlement, State
from gateway.telemetry import metric_names as names
from gateway.telemetry.registry import Registry

LANE_STATES = ("healthy", "failing", "paused")
# A look-up in an enumeration is a call, and every webhook's.
_FORWARDED, _FORWARDED_LABEL = State.FORWARDED, State.FORWARDED.value


class ForwardMetrics:
    """Requests to the event API, and what became of entries.

    The thread of the event loop alone counts here.
    """

    def __init__(self, made: Registry) -> None:
        self._attempts = made.counters(names.ATTEMPTS)
        self._seconds = made.histogram(names.ATTEMPT_SECONDS)
        self._batch_events = made.histogram(names.BATCH_EVENTS)
        self._events = made.counts(names.EVENTS)
        self._settlements = made.counts(names.SETTLEMENTS)
        self._dead_letters = made.counts(names.DEAD_LETTERS)
        self._end_to_end = made.observed(names.END_TO_END)
        self._lane_state = made.gauges(names.LANE_STATE)
        self._apart = made.gauges(names.SOURCES_APART)
        self._leases_lost = made.counts(names.LEASES_LOST)
        self.lane("healthy")

    def attempted(self, outcome: str, seconds: float, events: int) -> None:
        """Count a request to the event API."""
        self._attempts[outcome].inc()
        self._seconds.observe(seconds)
        self._batch_events.observe(events)

    def settled(self, delivery: Delivery, settlement: Settlement, now: int) -> None:
        """Count what became of an entry; `now` is unix milliseconds of the host's clock."""
        source = delivery.source
        if settlement.state is _FORWARDED:
            self._settlements[source, _FORWARDED_LABEL] += 1
            self._events[source] += len(settlement.events)
            took = now - delivery.received_at
            self._end_to_end[source].observe(took / 1000 if took > 0 else 0.0, delivery.traceparent)
            return
        self._settlements[source, settlement.state.value] += 1
        if settlement.state is State.DEAD:
            self._dead_letters[source, "event_api" if settlement.attempt else "transform"] += 1

    def lease_lost(self, source: str) -> None:
        """Count an entry that another forwarder took over."""
        self._leases_lost[source] += 1

    def lane(self, state: str) -> None:
        """Show in which state the lane is."""
        for each in LANE_STATES:
            self._lane_state[each].set(each == state)

    def apart(self, sources: Iterable[str]) -> None:
        """Show which sources are sent apart from others."""
        self._apart.forget()
        for source in sources:
            self._apart[source].set(1)
