"""Spans on their way to a collector: bounded, counted where they are lost, and never waited for."""

import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.telemetry.otlp import MOST_WAITING, SpanExport
from gateway.telemetry.span import Made
from tests.otlp_receiver import OtlpReceiver


def span(number: int = 1, **attributes: str) -> Made:
    """Return a span of a tenth of a second."""
    return Made("a", f"00-{'a' * 32}-{number:016x}-00", 0.1, {**attributes}, marks=[("read", 0.05)])


@asynccontextmanager
async def exporting(
    monkeypatch: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> AsyncIterator[tuple[SpanExport, Counter[str]]]:
    """Give an export to a receiver that runs, and what was dropped by reason."""
    await receiver.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=secret")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    dropped: Counter[str] = Counter()
    export = SpanExport(lambda reason, count: dropped.update({reason: count}))
    try:
        yield export, dropped
    finally:
        await export.close()
        await receiver.stop()


async def test_span_as_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids, times and attributes arrive as given, sampled or not, with what the environment says of this process."""
    receiver = OtlpReceiver()
    async with exporting(monkeypatch, receiver) as (export, dropped):
        before = time.time_ns()
        export.take(span(7, key="value"))
        await receiver.until(lambda: bool(receiver.spans))
    [seen] = receiver.spans
    assert (seen.id, seen.parent, seen.attributes) == (f"{'a' * 32}-{7:016x}", "", {"key": "value"})
    assert abs(seen.end - seen.start - 100_000_000) < 1_000
    assert before <= seen.end <= time.time_ns()
    assert seen.resource["deployment.environment.name"] == "test"
    assert receiver.headers[0]["x-key"] == "secret"
    assert not dropped


async def test_what_is_left_is_exported_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing sends what waits."""
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    receiver = OtlpReceiver()
    async with exporting(monkeypatch, receiver) as (export, _):
        for number in range(1, 701):
            export.take(span(number))
    assert len({seen.id for seen in receiver.spans}) == 700


async def test_what_the_collector_refuses_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collector that answers with an error has not taken the spans."""
    receiver = OtlpReceiver(status=400)
    async with exporting(monkeypatch, receiver) as (export, dropped):
        export.take(span(1))
        export.take(span(2))
        await receiver.until(lambda: bool(receiver.raw))
    assert dropped == {"export": 2}


async def test_what_does_not_fit_the_queue_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the collector hangs, memory is bounded, and nobody waits, at the end neither."""
    receiver = OtlpReceiver(silent=True)
    async with exporting(monkeypatch, receiver) as (export, dropped):
        export.take(span(1))
        await receiver.until(lambda: bool(receiver.raw))
        for number in range(MOST_WAITING + 50):
            export.take(span(number + 2))
        assert dropped == {"queue": 50}
        begun = time.monotonic()
    assert time.monotonic() - begun < 3
