"""When a put is refused at once, so that no queue grows without end and nobody waits in vain. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.inbox.disk_space import MIB, Space, SpaceLevel
from gateway.model import Delivery
from gateway.value import value


@dataclass(frozen=True, slots=True)
class Bounds:
    """How many operations may wait for a commit, how many bytes of deliveries with them, and for how long."""

    waiting: int = 10_000
    waiting_bytes: int = 128 * MIB
    wait_seconds: float = 1.0


@value
class Standing:
    """What waits for a commit, how long one more operation would wait (seconds), and the space of a disk of its own."""

    waiting: int
    waiting_bytes: int
    wait_seconds: float
    space: Space | None


def size_of(delivery: Delivery) -> int:
    """Return roughly the bytes that a delivery holds in memory while it waits."""
    content = 0 if delivery.content is delivery.body else len(delivery.content)
    headers = delivery.headers
    return len(delivery.body) + content + sum(map(len, headers)) + sum(map(len, headers.values()))


def refusal(bounds: Bounds, standing: Standing, size: int) -> str | None:
    """Return the sentence that refuses a put of `size` bytes now, or None when it may wait for its commit."""
    if standing.space and standing.space.level is SpaceLevel.FULL:
        return f"the disk of the inbox has only {standing.space} left, so nothing is accepted; free some space"
    if standing.waiting >= bounds.waiting:
        return f"{standing.waiting} operations wait for the inbox already; it is too slow for this many"
    if standing.waiting_bytes and standing.waiting_bytes + size > bounds.waiting_bytes:
        return (
            f"deliveries of {standing.waiting_bytes // MIB} MiB wait for the inbox already, of "
            f"{bounds.waiting_bytes // MIB} MiB that may; it is too slow for this much"
        )
    if standing.wait_seconds > bounds.wait_seconds:
        return (
            f"a commit would take about {standing.wait_seconds:.1f} s, longer than the {bounds.wait_seconds:g} s that "
            "a provider is kept waiting; the inbox is too slow or too busy"
        )
    return None
