"""The metrics as a collector gets them: a real HTTP server that decodes the protobuf."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from gateway.config.metrics_export import USUAL_SECONDS, interval
from tests.e2e.test_metrics import scrape_until
from tests.signed import BODIES
from tests.world import World


class Collector:
    """Takes metrics; `told` are the requests, decoded."""

    def __init__(self) -> None:
        self.told: list[ExportMetricsServiceRequest] = []
        self.headers: list[dict[str, str]] = []
        self.arrived = asyncio.Event()

    async def take(self, request: web.Request) -> web.Response:
        """Decode one export."""
        body = await request.read()
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.told.append(ExportMetricsServiceRequest.FromString(body))
        self.headers.append(dict(request.headers))
        self.arrived.set()
        return web.Response(content_type="application/x-protobuf")

    def metrics(self) -> dict[str, Any]:
        """Return the metrics of the latest export by name."""
        [resource] = self.told[-1].resource_metrics
        [scope] = resource.scope_metrics
        return {metric.name: metric for metric in scope.metrics}


@contextlib.asynccontextmanager
async def collecting(collector: Collector) -> AsyncIterator[str]:
    """Serve a collector; give its URL."""
    app = web.Application()
    app.router.add_post("/v1/metrics", collector.take)
    runner = web.AppRunner(app, auto_decompress=False)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def points(metric: Any) -> dict[tuple[str, ...], Any]:
    """Return the points of a metric by the values of their attributes, in the order of the attributes' names."""
    data = getattr(metric, metric.WhichOneof("data"))
    return {
        tuple(item.value.string_value for item in sorted(point.attributes, key=lambda item: item.key)): point
        for point in data.data_points
    }


async def test_a_collector_gets_what_scrapers_get(idle_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Metrics arrive under their names with unit, kind, labels and exemplars, the last numbers at the end."""
    world, collector = idle_world, Collector()
    async with collecting(collector) as url:
        variables: Any = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=acme",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        await world.start(**variables)
        await world.send("stripe", BODIES["stripe"])
        await world.send("stripe", BODIES["stripe"])
        [history] = await world.settled(1)
        await scrape_until(world, "gateway_end_to_end_seconds_count", 1)
        await world.stop()
    assert collector.headers[-1]["x-tenant"] == "acme"
    attributes = {
        item.key: item.value.string_value for item in collector.told[-1].resource_metrics[0].resource.attributes
    }
    assert attributes["service.name"] == "webhook-event-gateway"
    assert attributes["deployment.environment.name"] == "test"
    told = collector.metrics()
    requests = told["gateway_requests"]
    assert requests.sum.is_monotonic
    assert requests.sum.aggregation_temporality == 2  # cumulative
    assert {key: point.as_double for key, point in points(requests).items()} == {
        ("accepted", "stripe", "200"): 1,
        ("duplicate", "stripe", "200"): 1,
    }
    lane = told["gateway_lane_state"]
    assert lane.WhichOneof("data") == "gauge"
    assert points(lane)["healthy",].as_double == 1
    duration = told["gateway_request_duration_seconds"]
    assert duration.unit == "s"
    point = points(duration)["stripe",]
    assert (point.count, sum(point.bucket_counts)) == (2, 2)
    assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
    assert 0 < point.sum < 20
    assert 0 < point.start_time_unix_nano < point.time_unix_nano <= time.time_ns()
    _, trace, span, _ = history.entry.delivery.traceparent.split("-")
    [exemplar] = points(told["gateway_end_to_end_seconds"])["stripe",].exemplars
    assert (exemplar.trace_id.hex(), exemplar.span_id.hex()) == (trace, span)
    assert told["gateway_request_bytes"].unit == "By"


async def test_it_goes_on_and_on(idle_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is sent every so often while the gateway serves."""
    collector = Collector()
    async with collecting(collector) as url:
        variables: Any = {
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": f"{url}/v1/metrics",
            "OTEL_METRIC_EXPORT_INTERVAL": "20",
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        await idle_world.start(**variables)
        for _ in range(3):
            await asyncio.wait_for(collector.arrived.wait(), 10)
            collector.arrived.clear()
        await idle_world.stop()


async def test_a_collector_that_takes_nothing_costs_nothing(idle_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the collector never answers, webhooks are taken all the same, and the end waits a second for it."""
    silent = socket.create_server(("127.0.0.1", 0))  # connections wait in its queue for ever
    url = f"http://127.0.0.1:{silent.getsockname()[1]}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    await idle_world.start(OTEL_EXPORTER_OTLP_ENDPOINT=url, OTEL_METRIC_EXPORT_INTERVAL="10")
    assert (await idle_world.send("stripe", BODIES["stripe"]))[0] == 200
    await idle_world.settled(1)
    begun = time.monotonic()
    await idle_world.stop()
    assert time.monotonic() - begun < 8
    silent.close()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, USUAL_SECONDS),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://c/m"}, USUAL_SECONDS),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c/t"}, None),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, USUAL_SECONDS),
        ({"OTEL_METRICS_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, None),
        ({"OTEL_SDK_DISABLED": "True", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, None),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "5000", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, 5.0),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "0", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, USUAL_SECONDS),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "often", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, USUAL_SECONDS),
    ],
)
def test_when_metrics_are_exported(environ: dict[str, str], seconds: float | None) -> None:
    """They are where a collector is named for them, unless that is switched off."""
    assert interval(environ) == seconds


def test_nothing_of_it_is_loaded_by_those_who_do_not_export() -> None:
    """The exporter is imported by those alone who use it."""
    script = "import sys, gateway.app; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()  # noqa: S603
    assert "gateway.telemetry.metrics" in loaded
    assert [name for name in loaded if name.startswith("opentelemetry")] == []
