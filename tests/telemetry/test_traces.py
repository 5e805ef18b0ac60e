"""What is traced, what is told of it, and what no span may tell; and that the documentation has all of it."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased

from gateway.batch import Batch, Member
from gateway.config import tracing
from gateway.exchange import Exchange
from gateway.model import Attempt, Entry, Lease, Settlement, State
from gateway.outcome import Effect, Rest, Verdict
from gateway.telemetry import span_names as names
from gateway.telemetry.span import Made
from gateway.telemetry.traces import MOST_REMEMBERED, Traces, claimed
from tests.mapped import delivery

DOCUMENT = (Path(__file__).parents[2] / "docs" / "traces.md").read_text()
ACCEPTED = Verdict("accepted", Rest.NONE, Effect.HEALTHY, accepted=1)
NOW = 1_764_000_000_123
FAILED = Verdict("unreachable", Rest.AGAIN, Effect.BACK_OFF)


class Kept:
    """An exporter that keeps what it takes."""

    def __init__(self) -> None:
        self.spans: list[Made] = []

    def take(self, span: Made) -> None:
        """Keep a span."""
        self.spans.append(span)

    async def close(self) -> None:
        """Do nothing."""


def traces(ratio: float = 1.0, event_api: str = "https://inn.gs") -> tuple[Traces, Kept]:
    """Return traces, and what they are exported to."""
    kept = Kept()
    return Traces(random.Random(7), wall=lambda: NOW, ratio=ratio, exporter=kept, event_api=event_api), kept


def batch(*traceparents: str, attempts: int = 0, first: int = 1) -> Batch:
    """Return a batch of entries with these traceparents."""
    members = [
        Member(Lease(Entry(first + n, delivery(id=f"d{n}", traceparent=text), attempts=attempts), "t", 0), ())
        for n, text in enumerate(traceparents)
    ]
    return Batch("b", "s", tuple(members))


def send(made: Traces, sent: Batch, verdict: Verdict) -> str:
    """Trace a request to the event API; return its traceparent."""
    sending = made.sending(sent)
    made.sent(sending, sent, verdict, events=len(sent.members), status=None)
    return sending.traceparent


def answer(made: Traces, exchange: Exchange, label: str, status: int) -> None:
    """Trace a request to a source of the configuration, acme."""
    exchange.label = label
    exchange.step("read")
    made.answered(exchange, source="acme", outcome="rejected", status=status, seconds=0.5)


@pytest.mark.parametrize("ratio", [0.0, 0.01, 0.3, 1.0])
def test_sampled_as_the_sdk_samples(ratio: float) -> None:
    """The flag of a new trace is what the SDK's ratio sampler says of its id, so that other services agree."""
    made, _ = traces(ratio)
    sampler = TraceIdRatioBased(ratio)
    for _ in range(2_000):
        version, trace, span, flags = made.begin().split("-")
        decided = sampler.should_sample(None, int(trace, 16), "").decision
        assert (version, len(trace), len(span), flags) == (
            "00",
            32,
            16,
            "01" if decided is Decision.RECORD_AND_SAMPLE else "00",
        )


def test_ids_ascend_with_time_and_end_at_random() -> None:
    """The milliseconds come first, so that an index of ids grows at its end; 80 bits, none always set, differ."""
    wall = iter(range(NOW, NOW + 1_000))
    made = Traces(random.Random(7), wall=wall.__next__)
    ids = [made.begin().split("-")[1] for _ in range(1_000)]
    assert [int(trace[:12], 16) for trace in ids] == list(range(NOW, NOW + 1_000))
    ends = [int(trace[12:], 16) for trace in ids]
    assert [any(end >> bit & 1 for end in ends) for bit in range(80)] == [True] * 80
    assert [all(end >> bit & 1 for end in ends) for bit in range(80)] == [True] + [False] * 79


def test_nothing_is_sampled_without_an_exporter() -> None:
    """Without a collector there are ids alone, and no request to the event API has a traceparent."""
    made = Traces(random.Random(7), wall=lambda: NOW, ratio=1.0)
    assert made.begin().endswith("-00")
    assert not made.takes("-01", 100.0, failed=True)
    assert send(made, batch(made.begin()), FAILED) == ""


@pytest.mark.parametrize(
    ("traceparent", "seconds", "failed", "taken"),
    [("-01", 0.1, False, True), ("-00", 0.1, False, False), ("-00", 1.0, False, True), ("-00", 0.1, True, True)],
)
def test_requests_that_are_traced(traceparent: str, seconds: float, failed: bool, taken: bool) -> None:  # noqa: FBT001
    """A sampled request, one that failed and a slow one."""
    assert traces()[0].takes(traceparent, seconds, failed=failed) is taken


@pytest.mark.parametrize(
    ("values", "trusted"),
    [
        (["00-" + "a" * 32 + "-" + "b" * 16 + "-01"], True),
        (["00-" + "a" * 32 + "-" + "b" * 16 + "-01"] * 2, False),
        (["00-" + "0" * 32 + "-" + "b" * 16 + "-01"], False),
        (["00-" + "a" * 32 + "-" + "0" * 16 + "-01"], False),
        (["00-" + "A" * 32 + "-" + "b" * 16 + "-01"], False),
        (["00-" + "a" * 32 + "-" + "b" * 16 + "-01\n"], False),
        ([], False),
    ],
)
def test_traceparent_of_a_sender(values: Sequence[str], trusted: bool) -> None:  # noqa: FBT001
    """One that is written as W3C has it counts, and only alone."""
    assert claimed(values) == (values[0] if trusted else "")


def test_failure_on_our_side_is_an_error() -> None:
    """A status of 500 and more is an error of the span; one below is not, and methods are a closed set."""
    made, kept = traces()
    answer(made, Exchange("acme", made.begin(), 0.0, "POST"), "inbox_unavailable", 503)
    answer(made, Exchange("acme", made.begin(), 0.0, "BR\x1bEW"), "method_not_allowed", 405)
    ours, theirs = kept.spans
    assert (ours.error, ours.attributes[names.ERROR_TYPE]) == ("inbox_unavailable",) * 2
    assert (theirs.error, theirs.attributes[names.HTTP_METHOD]) == ("", "_OTHER")
    assert names.ERROR_TYPE not in theirs.attributes
    assert (ours.name, theirs.name) == (names.REQUEST_SPAN, names.STRAY_SPAN)


@pytest.mark.parametrize("called", ["", "nobody\r\n\x1b[31m"])
def test_url_that_names_no_source(called: str) -> None:
    """Nothing of a URL that a stranger chose is told."""
    made, kept = traces()
    exchange = Exchange(called, made.begin(), 0.0, "POST")
    made.answered(exchange, source="unknown", outcome="rejected", status=404, seconds=0.5)
    [span] = kept.spans
    assert span.attributes[names.SOURCE] == "unknown"
    assert names.URL_PATH not in span.attributes
    assert (span.name, span.attributes.get(names.HTTP_ROUTE)) == (
        (names.REQUEST_SPAN, names.ROUTE) if called else (names.STRAY_SPAN, None)
    )


def test_attempt_of_what_is_not_sampled() -> None:
    """It is traced when it failed, and so is the next one, with a link to it; then the entry is forgotten."""
    made, kept = traces(0.0)
    unsampled = made.begin()
    assert send(made, batch(unsampled), ACCEPTED).endswith("-00")
    assert kept.spans == []
    failed = send(made, batch(unsampled), FAILED)
    again = send(made, batch(unsampled, attempts=1), ACCEPTED)
    assert (failed[-2:], again[-2:]) == ("00", "01")
    assert [(span.traceparent, span.links) for span in kept.spans] == [
        (failed, []),
        (again, [(failed, {names.LINK: "previous attempt"})]),
    ]
    send(made, batch(unsampled, attempts=2), ACCEPTED)
    assert len(kept.spans) == 2


def test_attempts_that_are_remembered_are_bounded() -> None:
    """While the event API is away for long, the oldest attempts are forgotten."""
    made, _ = traces()
    size = 1_000
    for first in range(0, MOST_REMEMBERED + 2 * size, size):
        send(made, batch(*[""] * size, first=first), FAILED)
    assert made.sending(batch("", first=0)).before == []
    assert len(made.sending(batch("", first=MOST_REMEMBERED + size)).before) == 1


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://inn.gs", ("inn.gs", 443, "https://inn.gs:443/e/REDACTED")),
        ("http://127.0.0.1:8288/", ("127.0.0.1", 8288, "http://127.0.0.1:8288/e/REDACTED")),
        ("https://user:word@proxy.example/api?x=1", ("proxy.example", 443, "https://proxy.example:443/api/e/REDACTED")),
    ],
)
def test_address_of_the_event_api(url: str, told: tuple[str, int, str]) -> None:
    """The key, and what else a URL may hold that is nobody's business, is left out."""
    made, kept = traces(event_api=url)
    send(made, batch(made.begin()), ACCEPTED)
    [span] = kept.spans
    assert tuple(span.attributes[key] for key in (names.SERVER_ADDRESS, names.SERVER_PORT, names.URL_FULL)) == told


def test_dead_letter_in_the_trace_of_its_delivery() -> None:
    """It is a child of a sampled request, a root in the trace of another, and in a trace of its own without any."""
    made, kept = traces()
    sampled, unsampled = f"00-{'a' * 32}-{'b' * 16}-01", f"00-{'c' * 32}-{'d' * 16}-00"
    refused = Settlement(State.DEAD, attempt=Attempt(3, 0, 5, "rejected"))
    for text in (sampled, unsampled, ""):
        made.dead(Entry(1, delivery(traceparent=text)), refused)
    first, second, third = kept.spans
    assert (first.parent, first.traceparent[:35], second.parent, second.traceparent[:35]) == (
        *(sampled, sampled[:35]),
        *("", unsampled[:35]),
    )
    assert (third.parent, len(third.traceparent)) == ("", 55)
    assert {span.traceparent[36:52] for span in kept.spans}.isdisjoint({"b" * 16, "d" * 16})
    assert (first.error, first.attributes[names.ATTEMPT]) == ("rejected", 3)


@pytest.mark.parametrize("name", [*tracing.ENDPOINTS, tracing.SAMPLER, tracing.RATIO, *tracing.RATIOS])
def test_every_variable_is_documented(name: str) -> None:
    """docs/traces.md has what the environment may say."""
    assert f"`{name}`" in DOCUMENT


@pytest.mark.parametrize("name", [*names.SPANS, *names.STEPS, *names.ATTRIBUTES])
def test_every_name_is_documented(name: str) -> None:
    """docs/traces.md has every span, event and attribute."""
    assert f"`{name}`" in DOCUMENT or f"    {name}" in DOCUMENT
