"""A collector on this machine: an HTTP server that decodes the spans it is sent, or that never answers."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

KINDS = {Span.SPAN_KIND_SERVER: "SERVER", Span.SPAN_KIND_CLIENT: "CLIENT", Span.SPAN_KIND_INTERNAL: "INTERNAL"}


@dataclass
class Seen:
    """A span as it arrived. `id`, `parent` and the links are `<trace id>-<span id>`, in hex."""

    name: str
    kind: str
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    events: list[str]
    links: dict[str, dict[str, Any]]
    error: str
    start: int
    end: int
    resource: dict[str, Any] = field(repr=False)


class OtlpReceiver:
    """Takes `POST /v1/traces`, and passes by metrics. `raw` are bodies of spans; with `silent` nothing is answered."""

    def __init__(self, *, silent: bool = False, status: int = 200) -> None:
        self.spans: list[Seen] = []
        self.raw: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.port = 0
        self._silent = silent
        self._status = status
        self._changed = asyncio.Event()
        self._over = asyncio.Event()
        self._runner: web.AppRunner

    async def start(self) -> None:
        """Listen on a free port."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_post("/v1/traces", self._take)
        app.router.add_post("/v1/metrics", self._pass_by)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop listening."""
        self._over.set()
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is set to."""
        return f"http://127.0.0.1:{self.port}"

    async def until(self, condition: Callable[[], bool], within: float = 15.0) -> None:
        """Wait until a condition holds that depends on what arrived."""
        async with asyncio.timeout(within):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def named(self, name: str) -> list[Seen]:
        """Return the spans of a name, by their start."""
        return sorted((span for span in self.spans if span.name == name), key=lambda span: span.start)

    async def _pass_by(self, _: web.Request) -> web.Response:
        if self._silent:
            await self._over.wait()
        return web.Response(content_type="application/x-protobuf")

    async def _take(self, request: web.Request) -> web.Response:
        self.headers.append(dict(request.headers))
        body = await request.read()
        self.raw.append(gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body)
        self._changed.set()
        if self._silent:
            await self._over.wait()
        for resource in ExportTraceServiceRequest.FromString(self.raw[-1]).resource_spans:
            told = _values(resource.resource.attributes)
            self.spans += [_seen(span, told) for scope in resource.scope_spans for span in scope.spans]
        self._changed.set()
        return web.Response(status=self._status, content_type="application/x-protobuf")


def _seen(span: Span, resource: dict[str, Any]) -> Seen:
    trace = span.trace_id.hex()
    return Seen(
        name=span.name,
        kind=KINDS[span.kind],
        trace=trace,
        id=f"{trace}-{span.span_id.hex()}",
        parent=f"{trace}-{span.parent_span_id.hex()}" if span.parent_span_id else "",
        attributes=_values(span.attributes),
        events=[event.name for event in span.events],
        links={f"{link.trace_id.hex()}-{link.span_id.hex()}": _values(link.attributes) for link in span.links},
        error=span.status.message,
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        resource=resource,
    )


def _values(pairs: Any) -> dict[str, Any]:
    def plain(pair: KeyValue) -> Any:
        return getattr(pair.value, pair.value.WhichOneof("value") or "string_value")

    return {pair.key: plain(pair) for pair in pairs}
