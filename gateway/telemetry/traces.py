"""Traces: every request gets one of its own, whatever its sender claims, and spans are made once all is known.

An unsampled request costs its ids and nothing else. What failed, was refused or was slow is traced whatever the ratio.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence

from gateway.batch import Batch
from gateway.errors import ConfigError, TransformError
from gateway.exchange import Exchange
from gateway.model import Delivery, Entry, Settlement
from gateway.outcome import Verdict
from gateway.telemetry import span_content
from gateway.telemetry import span_names as names
from gateway.telemetry.span import Exporter, Made, Sending

SLOW_SECONDS = 1.0
MOST_LINKS = 128
MOST_REMEMBERED = 10_000
SAMPLED, UNSAMPLED = "01", "00"

_NOT_ZERO = 1 << 64 | 1  # neither id may be zero
_ID = 1 << 64
_RANDOM_BITS = 144  # 80 of the trace's id, of which W3C wants the last 56 to be, and the 64 of the span's
_TRACEPARENT = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_SERVER_FAULT = 500
_UNTRACED = Sending("", 0.0)


class Traces:
    """Decides what is traced, and says it in spans. Without `exporter` there are ids alone, and nothing is sampled.

    `wall` tells unix milliseconds, with which the id of a trace begins. `ratio` is the share of requests that are
    sampled. `event_api` is the URL that events are sent to, without the key; it may be replaced.
    """

    def __init__(
        self,
        rng: random.Random,
        *,
        wall: Callable[[], int],
        ratio: float = 0.0,
        exporter: Exporter | None = None,
        event_api: str = "",
    ) -> None:
        self.event_api = event_api
        # Ids are to be unique and not secret, and asking the kernel for each would be most of what they cost.
        self._rng = random.Random(rng.getrandbits(256))  # noqa: S311
        self._wall = wall
        self._bound = round(ratio * _ID) if exporter else 0
        self._exporter = exporter
        self._failed: dict[int, str] = {}  # the last attempt of entries by their keys; the oldest are forgotten

    def begin(self) -> str:
        """Return a W3C traceparent with fresh ids, sampled or not. https://www.w3.org/TR/trace-context/."""
        bits = self._ids()
        sampled = self._bound and (bits >> 64) % _ID < self._bound
        ids = f"{bits:048x}"
        return f"00-{ids[:32]}-{ids[32:]}-{SAMPLED if sampled else UNSAMPLED}"

    def takes(self, traceparent: str, seconds: float, *, failed: bool) -> bool:
        """Tell whether a request that took so long is traced."""
        return self._exporter is not None and (failed or seconds >= SLOW_SECONDS or traceparent.endswith(SAMPLED))

    def answered(
        self,
        exchange: Exchange,
        *,
        source: str,
        outcome: str,
        status: int,
        seconds: float,
        claim: str = "",
        delivery: Delivery | None = None,
    ) -> None:
        """Trace a request that was answered just now and took so long, as the root of its trace.

        `source` is the name of a configured one, or another word; `claim` is the traceparent of a trusted sender.
        """
        if self._exporter is None:
            return
        error = exchange.label if status >= _SERVER_FAULT else ""
        self._exporter.take(
            Made(
                span_content.name(exchange),
                exchange.traceparent,
                seconds,
                span_content.request(
                    exchange, source=source, outcome=outcome, status=status, error=error, delivery=delivery
                ),
                "server",
                marks=span_content.marks(exchange.steps),
                links=[(claim, {names.LINK: "sender"})] if claim else (),
                error=error,
            )
        )

    def sending(self, batch: Batch) -> Sending:
        """Begin the trace of a request to the event API; its `traceparent` is empty where nothing is traced."""
        if self._exporter is None:
            return _UNTRACED
        entries = [member.lease.entry for member in batch.members]
        carried = [entry.delivery for entry in entries if entry.delivery.traceparent.endswith(SAMPLED)]
        before = {self._failed[entry.key] for entry in entries if entry.key in self._failed} if self._failed else ()
        bits = self._ids()
        traceparent = _traceparent(bits >> 64, bits % _ID, sampled=bool(carried or before))
        return Sending(traceparent, time.perf_counter(), carried, sorted(before))

    def sent(self, sending: Sending, batch: Batch, verdict: Verdict, *, events: int, status: int | None) -> None:
        """Trace a request to the event API where it failed, or carried what is traced, with a link to each of it."""
        if self._exporter is None:
            return
        failed = verdict.label != "accepted"
        self._remember(batch, sending.traceparent if failed else "")
        if not (failed or sending.carried or sending.before):
            return
        seconds = time.perf_counter() - sending.begun
        attributes = span_content.attempt(batch, verdict, events, status, self.event_api)
        links = span_content.links(sending)
        own, error = links[:MOST_LINKS], verdict.label if failed else ""
        self._exporter.take(
            Made(names.ATTEMPT_SPAN, sending.traceparent, seconds, attributes, "client", links=own, error=error)
        )
        parent, about = sending.traceparent, {names.BATCH: batch.name}
        for first in range(MOST_LINKS, len(links), MOST_LINKS):
            some = links[first : first + MOST_LINKS]
            self._exporter.take(Made(names.LINKS_SPAN, self._child(parent), seconds, about, links=some, parent=parent))

    def dead(self, entry: Entry, settlement: Settlement) -> None:
        """Trace that an entry became a dead letter just now, in its delivery's trace."""
        if self._exporter is None:
            return
        outcome = settlement.attempt.outcome if settlement.attempt else TransformError.label
        delivery, attributes = entry.delivery, span_content.dead(entry, settlement, outcome)
        seconds = max(0.0, time.time() - delivery.received_at / 1000)
        origin = delivery.traceparent or self.begin()
        parent = delivery.traceparent if delivery.traceparent.endswith(SAMPLED) else ""
        self._exporter.take(
            Made(names.DEAD_LETTER_SPAN, self._child(origin), seconds, attributes, parent=parent, error=outcome)
        )

    async def close(self) -> None:
        """Export what waits, within seconds."""
        if self._exporter:
            await self._exporter.close()

    def _ids(self) -> int:
        """Return the bits of a trace's id and of a span's.

        The time comes first, so that a store which finds deliveries by their traces adds each at the end of its index.
        Sampling goes by the last 64 bits. https://www.w3.org/TR/trace-context-2/#random-trace-id-flag.
        """
        return self._wall() << _RANDOM_BITS | self._rng.getrandbits(_RANDOM_BITS) | _NOT_ZERO

    def _child(self, traceparent: str) -> str:
        return _traceparent(int(traceparent[3:35], 16), self._rng.getrandbits(64) | 1, sampled=True)

    def _remember(self, batch: Batch, traceparent: str) -> None:
        """Keep which attempt of its entries this was, for the next one; where it is over, forget it."""
        for member in batch.members if traceparent or self._failed else ():
            key = member.lease.entry.key
            self._failed.pop(key, None)
            if traceparent:
                self._failed[key] = traceparent
        while len(self._failed) > MOST_REMEMBERED:
            del self._failed[next(iter(self._failed))]


def opened(
    rng: random.Random,
    *,
    wall: Callable[[], int],
    exported: bool,
    ratio: float,
    event_api: str,
    on_dropped: Callable[[str, int], None],
) -> Traces:
    """Return traces that are exported or not; the library for it is imported only where they are.

    Raises ConfigError where one of its own variables cannot be used.
    """
    if not exported:
        return Traces(rng, wall=wall)
    from gateway.telemetry.otlp import SpanExport  # noqa: PLC0415 - it would slow down every start

    try:
        export = SpanExport(on_dropped)
    except ValueError as error:
        fault = f"OpenTelemetry's variables: {str(error).rstrip('.')}; mend or unset it, docs/traces.md lists them"
        raise ConfigError([fault]) from None
    return Traces(rng, wall=wall, ratio=ratio, exporter=export, event_api=event_api)


def claimed(values: Sequence[str]) -> str:
    """Return the one valid traceparent that a sender gave, else an empty text."""
    return values[0] if len(values) == 1 and _TRACEPARENT.fullmatch(values[0]) else ""


def _traceparent(trace: int, span: int, *, sampled: bool) -> str:
    return f"00-{trace:032x}-{span:016x}-{SAMPLED if sampled else UNSAMPLED}"
