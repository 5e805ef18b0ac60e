"""The one object on which everything is counted and measured; gateway.telemetry.metric_names says what it means."""

from __future__ import annotations

import platform
from collections.abc import Callable
from importlib.metadata import version

from gateway.clock import SystemClock
from gateway.telemetry import metric_names as names
from gateway.telemetry.forward_metrics import ForwardMetrics
from gateway.telemetry.inbox_metrics import InboxMetrics
from gateway.telemetry.intake_metrics import IntakeMetrics
from gateway.telemetry.registry import Registry


class Metrics:
    """The metrics of one process. What is of requests and of forwarding is changed on the event loop's thread alone.

    The rest may be changed, and all be read, on any. `wall` tells the time of the host's clock, in unix milliseconds.
    """

    def __init__(self, wall: Callable[[], int] | None = None) -> None:
        self.registry = made = Registry()
        self.exposition = made.exposition
        self.exemplars = made.exemplars
        self.intake = IntakeMetrics(made)
        self.inbox = InboxMetrics(made, wall or SystemClock().wall)
        self.forward = ForwardMetrics(made)
        self.give_up = self.intake.give_up
        self._loop_lag = made.histogram(names.LOOP_LAG)
        self._crashes = made.counters(names.CRASHES)
        self._reloads = made.counters(names.RELOADS)
        self._spans_dropped = made.counters(names.SPANS_DROPPED)
        made.gauges(names.BUILD)[version("webhook-event-gateway"), platform.python_version()].set(1)

    def loop_lag(self, seconds: float) -> None:
        """Note how much later than asked the event loop ran a timer."""
        self._loop_lag.observe(max(0.0, seconds))

    def crashed(self, where: str) -> None:
        """Count a fault of the gateway's own."""
        self._crashes[where].inc()

    def reloaded(self, *, taken: bool) -> None:
        """Count a configuration that was read again."""
        self._reloads["taken" if taken else "refused"].inc()

    def spans_dropped(self, reason: str, count: int = 1) -> None:
        """Count spans that did not reach the collector: the `queue` was full, or the `export` failed."""
        self._spans_dropped[reason].inc(count)
