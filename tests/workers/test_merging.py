"""The metrics of several workers in one text."""

import pytest

from gateway.history import Counts
from gateway.model import State
from gateway.telemetry.merging import merged
from gateway.telemetry.metrics import Metrics
from tests.exposition import OPENMETRICS, Scrape

TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


def worker(requests: int, seconds: float, pending: int, at: int) -> str:
    """Return what a worker tells that answered so many requests, and at a time (unix ms) counted so many entries."""
    metrics = Metrics(lambda: at)
    for _ in range(requests):
        metrics.intake.answered("acme", "accepted", 200, seconds=seconds, size=1, refusal="", traceparent=TRACE)
    metrics.inbox.counted(Counts({"acme": {State.PENDING: pending}}, oldest_pending_at=at - 5_000), ["acme"], at)
    metrics.give_up({"acme": float(at)})
    return metrics.exposition(OPENMETRICS)[1].decode()


@pytest.mark.parametrize("accept", ["", OPENMETRICS])
def test_what_is_each_workers_and_what_is_of_all(accept: str) -> None:
    """Counters and histograms can be summed; what each reads from the inbox is there once, from the newest look."""
    texts = {"1": worker(3, 0.002, 7, 1_000), "2": worker(4, 0.2, 9, 2_000)}
    kind, text = merged(texts, accept)
    assert kind.startswith("application/openmetrics-text" if accept else "text/plain")
    told = Scrape(text.decode(), accept=accept)
    for number, requests in (("1", 3), ("2", 4)):
        assert told.value("gateway_requests_total", source="acme", worker=number) == requests
        assert told.value("gateway_request_duration_seconds_count", worker=number) == requests
    assert told.value("gateway_request_duration_seconds_bucket", le="0.0025") == 3
    assert told.value("gateway_request_duration_seconds_bucket", le="+Inf") == 7
    [entries] = told.of("gateway_inbox_entries", state="pending")
    assert (entries.value, "worker" in entries.labels) == (9, False)
    assert [sample.value for sample in told.of("gateway_give_up_seconds")] == [2_000]
    assert [sample.value for sample in told.of("gateway_oldest_pending_age_seconds")] == [5]
    assert len({family.name for family in told.families}) == len(told.families)
    exemplars = [sample.exemplar for sample in told.samples if sample.exemplar]
    assert bool(exemplars) == bool(accept)
