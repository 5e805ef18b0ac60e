"""Spans on their way to a collector, by OTLP over HTTP; imported only where they are exported.

Whatever the collector does, nobody waits for it: what does not fit the queue is dropped and counted, and so is what the
collector does not take. Endpoint, headers, timeout, compression and certificates are the standard OTEL_* variables',
which the SDK reads: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from gateway.telemetry.resource import PACKAGE, VERSION, resource
from gateway.telemetry.span import Made

MOST_WAITING = 4_096
# Metrics have a second too; with that, and the end of the interpreter, the exit is delayed by three at most.
CLOSE_SECONDS = 1.0

NANO = 1_000_000_000
_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}

Dropped = Callable[[str, int], None]


class SpanExport:
    """Takes spans to the collector in a thread. `on_dropped` is told why, `queue` or `export`, and how many."""

    def __init__(self, on_dropped: Dropped) -> None:
        self._on_dropped = on_dropped
        self._ids = _GivenIds()
        self._counted = _Counted(OTLPSpanExporter(), on_dropped)
        self._processor = BatchSpanProcessor(self._counted, max_queue_size=MOST_WAITING)
        provider = TracerProvider(
            resource=resource(), sampler=ALWAYS_ON, id_generator=self._ids, shutdown_on_exit=False
        )
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer(PACKAGE, VERSION)
        self._taken = 0

    def take(self, span: Made) -> None:
        """Take a span that ends now, or drop and count it."""
        if self._taken - self._counted.left >= MOST_WAITING:
            self._on_dropped("queue", 1)
            return
        self._taken += 1
        end = time.time_ns()
        start = end - int(span.seconds * NANO)
        self._ids.given = _context(span.traceparent)
        made = self._tracer.start_span(
            span.name,
            set_span_in_context(NonRecordingSpan(_context(span.parent)), _NOWHERE) if span.parent else _NOWHERE,
            _KINDS[span.kind],
            span.attributes,
            [Link(_context(traceparent), attributes) for traceparent, attributes in span.links],
            start_time=start,
        )
        for name, after in span.marks:
            made.add_event(name, None, start + int(after * NANO))
        if span.error:
            made.set_status(Status(StatusCode.ERROR, span.error))
        made.end(end)

    async def close(self) -> None:
        """Send what waits, within `CLOSE_SECONDS`; what the collector has not taken by then is given up."""
        over, loop = asyncio.Event(), asyncio.get_running_loop()

        def shut_down() -> None:
            self._processor.shutdown()  # type: ignore[no-untyped-call]
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(over.set)

        threading.Thread(target=shut_down, name="spans-close", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await over.wait()
        self._counted.shutdown()


class _GivenIds(IdGenerator):
    """Gives the ids that were drawn when the request began, so that a span may be made when it is over."""

    given = SpanContext(0, 0, is_remote=False)

    def generate_trace_id(self) -> int:
        return self.given.trace_id

    def generate_span_id(self) -> int:
        return self.given.span_id


class _Counted(SpanExporter):
    """Counts what leaves the queue, and what the collector did not take."""

    def __init__(self, inner: SpanExporter, on_dropped: Dropped) -> None:
        self.left = 0
        self._inner = inner
        self._on_dropped = on_dropped
        self._over = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.left += len(spans)
        result = SpanExportResult.FAILURE if self._over else self._inner.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._on_dropped("export", len(spans))
        return result

    def shutdown(self) -> None:
        if not self._over:
            self._over = True
            self._inner.shutdown()


_NOWHERE = Context()


def _context(traceparent: str) -> SpanContext:
    _, trace, span, flags = traceparent.split("-")
    return SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
