"""One request on its way: what its log line and its span are made of."""

from __future__ import annotations

from gateway.model import Request
from gateway.telemetry.span import Timing


class Exchange:
    """What the log line and the span of one request are made of."""

    __slots__ = ("bytes_in", "detail", "label", "method", "request", "source", "timing", "traceparent")

    def __init__(self, source: str, traceparent: str, started: float, method: str = "") -> None:
        self.source = source
        self.traceparent = traceparent
        self.method = method
        self.timing = Timing(started)
        self.bytes_in = 0
        self.request: Request | None = None
        self.label = ""
        self.detail = ""
