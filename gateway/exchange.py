"""One request on its way: what its log line and its span are made of."""

from __future__ import annotations

import time

from gateway.model import Request


class Exchange:
    """A request to `source`, as its URL has it, since `started` of `time.perf_counter`.

    `steps` are the milliseconds that each step took, in their order.
    """

    __slots__ = ("_at", "bytes_in", "detail", "label", "method", "request", "source", "started", "steps", "traceparent")

    def __init__(self, source: str, traceparent: str, started: float, method: str = "") -> None:
        self.source = source
        self.traceparent = traceparent
        self.method = method
        self.started = self._at = started
        self.steps: dict[str, float] = {}
        self.bytes_in = 0
        self.request: Request | None = None
        self.label = ""
        self.detail = ""

    def step(self, name: str) -> None:
        """Note the milliseconds since the step before."""
        now = time.perf_counter()
        self.steps[name], self._at = (now - self._at) * 1000, now
