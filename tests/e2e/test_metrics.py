"""What /metrics tells of a gateway at work, read as a scraper reads it."""

from __future__ import annotations

import asyncio
import re

import aiohttp
import pytest

from gateway.dev.faults import Answer
from gateway.model import State
from gateway.telemetry.metric_names import METRICS, WORKER_RESTARTS
from gateway.telemetry.metrics import Metrics
from tests.dead_letters import make_dead, start_broken
from tests.exposition import OPENMETRICS, Scrape
from tests.manual_clock import ManualClock
from tests.signed import BODIES, dumps
from tests.world import World

DAY = 86_400_000


async def scrape(world: World, accept: str = "") -> Scrape:
    """Look at what is looked at now and then, and scrape the admin listener."""
    await world.gateway.gauges.look()
    url = f"http://127.0.0.1:{world.gateway.admin_port}/metrics"
    headers = {"Accept": accept} if accept else {}
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
        assert answer.status == 200
        assert answer.content_type == (accept or "text/plain").partition(";")[0]
        return Scrape(await answer.text(), accept=accept)


async def scrape_until(world: World, name: str, value: float, **labels: str) -> Scrape:
    """Scrape until a metric has a value."""
    async with asyncio.timeout(10):
        while (told := await scrape(world)).value(name, **labels) != value:  # noqa: ASYNC110 - nothing is told of a count
            await asyncio.sleep(0.02)
    return told


async def test_requests_by_what_became_of_them(world: World) -> None:
    """Accepted, absorbed and refused requests are counted by source, outcome, status and reason."""
    body = BODIES["stripe"]
    await world.send("stripe", body)
    await world.send("stripe", body)
    await world.post("stripe", [("Stripe-Signature", "t=1,v1=00")], body)
    await world.post("nobody", [], b"{}")
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{world.gateway.port}/favicon.ico"):
        pass
    await world.settled(1)
    told = await scrape(world)
    requests = {
        (sample.labels["source"], sample.labels["outcome"], sample.labels["status"]): sample.value
        for sample in told.of("gateway_requests_total")
    }
    assert requests == {
        ("stripe", "accepted", "200"): 1,
        ("stripe", "duplicate", "200"): 1,
        ("stripe", "rejected", "401"): 1,
        ("unknown", "rejected", "404"): 2,
    }
    assert told.value("gateway_rejections_total", source="unknown", reason="unknown_source") == 2
    assert told.value("gateway_rejections_total", source="stripe") == 1
    assert told.value("gateway_verifications_total", source="stripe", result="passed") == 2
    assert told.value("gateway_verifications_total", source="stripe", result="failed") == 1
    assert told.value("gateway_dedupe_hits_total", source="stripe", by="id") == 1
    assert told.value("gateway_request_bytes_total", source="stripe") == 3 * len(body)
    assert told.value("gateway_request_duration_seconds_count", source="stripe") == 3
    assert told.value("gateway_secret_uses_total", source="stripe") == 2


async def test_forwarding(world: World) -> None:
    """Attempts, events, settlements and the time from receipt to acceptance are told, and the lane is healthy."""
    await world.send("stripe", BODIES["stripe"])
    await world.settled(1)
    told = await scrape_until(world, "gateway_settlements_total", 1, source="stripe", state="forwarded")
    assert told.value("gateway_forward_attempts_total", outcome="accepted") == 1
    assert told.value("gateway_forward_duration_seconds_count") == 1
    assert told.value("gateway_forward_batch_events_sum") == 1
    assert told.value("gateway_forwarded_events_total", source="stripe") == 1
    assert told.value("gateway_settlements_total", source="stripe", state="forwarded") == 1
    assert told.value("gateway_end_to_end_seconds_count", source="stripe") == 1
    assert told.value("gateway_inbox_entries", source="stripe", state="forwarded") == 1
    assert told.value("gateway_inbox_entries", source="slack") == 0
    assert len(told.of("gateway_inbox_entries", source="slack")) == len(State)
    assert told.value("gateway_oldest_pending_age_seconds") == 0
    assert told.value("gateway_last_delivery_timestamp_seconds", source="stripe") > 1_700_000_000
    assert {sample.labels["state"]: sample.value for sample in told.of("gateway_lane_state")} == {
        "healthy": 1,
        "failing": 0,
        "paused": 0,
    }
    assert told.value("gateway_commit_duration_seconds_count") >= 2
    assert told.value("gateway_commit_operations_sum") >= told.value("gateway_commit_operations_count")
    assert told.value("gateway_disk_free_bytes") > 0
    assert told.value("gateway_wal_bytes") > 0


async def test_a_key_that_is_refused_shows_as_a_paused_lane(idle_world: World) -> None:
    """With a wrong event key the lane is paused and the oldest delivery grows older; what waits is counted."""
    world = idle_world
    clock = ManualClock()
    await world.start(clock=clock, INNGEST_EVENT_KEY="another-key")
    await world.send("stripe", BODIES["stripe"])
    await scrape_until(world, "gateway_lane_state", 1, state="paused")
    clock.advance(600_000)
    told = await scrape(world)
    assert told.value("gateway_lane_state", state="paused") == 1
    assert told.value("gateway_lane_state", state="healthy") == 0
    assert told.value("gateway_inbox_entries", source="stripe", state="pending") == 1
    assert told.value("gateway_oldest_pending_age_seconds") >= 600


async def test_dead_letters_by_their_cause(idle_world: World) -> None:
    """A transform that fails makes a dead letter, counted as its own."""
    await start_broken(idle_world)
    await make_dead(idle_world, "stripe", "evt_1", "evt_2")
    told = await scrape_until(idle_world, "gateway_dead_letters_total", 2, source="stripe", cause="transform")
    assert told.value("gateway_settlements_total", source="stripe", state="dead") == 2
    assert told.value("gateway_inbox_entries", source="stripe", state="dead") == 2


async def test_an_event_api_that_fails(world: World) -> None:
    """Answers of 500 are attempts of another outcome, and the lane is failing."""
    world.event_api.answer_next(*[Answer(500)] * 50)
    await world.send("stripe", BODIES["stripe"])
    told = await scrape_until(world, "gateway_settlements_total", 1, source="stripe", state="pending")
    assert told.value("gateway_forward_attempts_total", outcome="accepted") == 0
    assert told.value("gateway_forward_attempts_total") >= 1
    assert told.value("gateway_lane_state", state="failing") == 1


async def test_exemplars_name_traces(world: World) -> None:
    """Asked for OpenMetrics, both latency histograms name the trace of a delivery, by which `gateway show` finds it."""
    await world.send("stripe", BODIES["stripe"])
    [history] = await world.settled(1)
    await scrape_until(world, "gateway_end_to_end_seconds_count", 1)
    told = await scrape(world, OPENMETRICS)
    _, trace, span, _ = history.entry.delivery.traceparent.split("-")
    for name in ("gateway_request_duration_seconds_bucket", "gateway_end_to_end_seconds_bucket"):
        exemplars = [sample.exemplar for sample in told.of(name, source="stripe") if sample.exemplar]
        assert [exemplar.labels for exemplar in exemplars] == [{"trace_id": trace, "span_id": span}]
    assert "# {" not in (await scrape(world)).text


async def test_clock_skew(idle_world: World) -> None:
    """A provider whose clock is three minutes behind shows as that; the promptest request of a minute counts."""
    world, clock = idle_world, ManualClock()
    await world.start(clock=clock)
    for number, ago in enumerate([200_000, 180_000, 250_000]):
        body = dumps({"id": f"evt_{number}", "object": "event", "type": "made", "created": 1_700_000_000})
        assert (await world.send("stripe", body, at=clock.wall() - ago))[0] == 200
    assert (await scrape(world)).of("gateway_clock_skew_seconds") == []
    clock.advance(60_000)
    assert (await scrape(world)).value("gateway_clock_skew_seconds", source="stripe") == pytest.approx(180, abs=1.1)


async def test_names_are_those_of_the_table(world: World) -> None:
    """Every metric that is shown is in the table, with its kind, labels and help; and every one of it can be shown.

    But for that of a supervisor, which a gateway of one process has not.
    """
    await world.send("stripe", BODIES["stripe"])
    await world.send("stripe", BODIES["stripe"])
    await world.post("stripe", [], b"")
    await world.settled(1)
    told = await scrape(world)
    shown = {family.name: family for family in told.families if not family.name.startswith("process_")}
    table = {metric.name.removesuffix("_total"): metric for metric in METRICS if metric is not WORKER_RESTARTS}
    assert shown.keys() == table.keys()
    for name, metric in table.items():
        assert (shown[name].type, shown[name].documentation) == (metric.kind, metric.help)
        assert re.fullmatch(r"gateway_[a-z]+(_[a-z]+)*", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        for sample in shown[name].samples:
            assert sample.labels.keys() - {"le"} == set(metric.labels)
            assert all(re.fullmatch(r"[\w .+-]*", value) for value in sample.labels.values())


async def test_what_strangers_send_makes_no_series(world: World) -> None:
    """However many sources that do not exist are asked for, the same series are counted on."""
    await world.post("nobody", [], b"{}")
    before = len((await scrape(world)).samples)
    for number in range(20):
        await world.post(f"nobody-{number}", [("X-Delivery", str(number))], b"{}")
    told = await scrape(world)
    assert len(told.samples) == before
    assert told.value("gateway_requests_total", source="unknown") == 21


def test_give_up_clocks_that_ended_are_gone() -> None:
    """The clock of a source whose deliveries are taken again is absent, not zero."""
    metrics = Metrics()
    metrics.give_up({"stripe": 3600.0, "github": 60.0})
    metrics.give_up({"stripe": 3500.0})
    told = Scrape(metrics.exposition()[1].decode())
    assert {sample.labels["source"]: sample.value for sample in told.of("gateway_give_up_seconds")} == {"stripe": 3500}


def test_faults_reloads_and_lost_telemetry() -> None:
    """What the process tells of itself is counted."""
    metrics = Metrics()
    metrics.crashed("receive")
    metrics.reloaded(taken=True)
    metrics.reloaded(taken=False)
    metrics.spans_dropped("queue", 3)
    metrics.loop_lag(-0.1)
    told = Scrape(metrics.exposition()[1].decode())
    assert told.value("gateway_crashes_total", where="receive") == 1
    assert told.value("gateway_config_reloads_total", outcome="refused") == 1
    assert told.value("gateway_spans_dropped_total", reason="queue") == 3
    assert told.value("gateway_event_loop_lag_seconds_count") == 1
    assert told.value("gateway_build_info") == 1
