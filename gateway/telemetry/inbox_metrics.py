"""What is counted of the inbox."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property

from prometheus_client import Gauge

from gateway.history import Counts
from gateway.inbox.disk_space import Space
from gateway.model import State
from gateway.telemetry import metric_names as names
from gateway.telemetry.registry import Registry


class InboxMetrics:
    """Commits, as they happen, and what is stored, as it was when last looked at.

    `wall` tells the time of the host's clock in unix milliseconds.
    """

    def __init__(self, made: Registry, wall: Callable[[], int]) -> None:
        self._made = made
        self._seconds = made.histogram(names.COMMIT_SECONDS)
        self._operations = made.histogram(names.COMMIT_OPERATIONS)
        self._entries = made.gauges(names.ENTRIES)
        self._last_delivery = made.gauges(names.LAST_DELIVERY)
        self._counted_at = made.gauge(names.COUNTED_AT)
        self._oldest_at: int | None = None
        made.gauge(names.OLDEST_PENDING).set_function(lambda: self._age(wall()))

    def committed(self, seconds: float, operations: int) -> None:
        """Note a commit of so many operations."""
        self._seconds.observe(seconds)
        self._operations.observe(operations)

    def counted(self, counts: Counts, sources: Iterable[str], now: int) -> None:
        """Show what is stored, of configured sources even where it is nothing; `now` is unix milliseconds."""
        self._oldest_at = counts.oldest_pending_at
        self._counted_at.set(now / 1000)
        self._entries.forget()
        self._last_delivery.forget()
        for source in {*sources, *counts.by_source}:
            states = counts.by_source.get(source, {})
            for state in State:
                self._entries[source, state.value].set(states.get(state, 0))
        for source, at in counts.last_received_at.items():
            self._last_delivery[source].set(at / 1000)

    def space(self, space: Space) -> None:
        """Show the space of the inbox's disk."""
        free, size = self._disk
        free.set(space.free)
        size.set(space.total)

    def wal(self, size: int) -> None:
        """Show the bytes of the write-ahead log."""
        self._wal.set(size)

    # Made when first set, so that an inbox without a disk of its own does not seem to have a full one.
    @cached_property
    def _disk(self) -> tuple[Gauge, Gauge]:
        return self._made.gauge(names.DISK_FREE), self._made.gauge(names.DISK_SIZE)

    @cached_property
    def _wal(self) -> Gauge:
        return self._made.gauge(names.WAL)

    def _age(self, now: int) -> float:
        return 0.0 if self._oldest_at is None else max(0, now - self._oldest_at) / 1000
