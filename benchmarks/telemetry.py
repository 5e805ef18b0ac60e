"""What logs, metrics and traces cost: CPU time per webhook with them and without, in paired and interleaved rounds.

Four gateways serve in processes of their own: without any of the three, with logs and metrics, with spans of 1 % of the
requests as well, and with spans of all. A round loads each of them once, in turn, and is one pair with the first of its
round; the figure is the median of the pairs, as CPU time without over CPU time with, which is the share of throughput
that is left. CPU time is that of the serving process with all of its threads, the export to a collector included.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web
from intake import SECRET, TOML, Contender, _report, _serve, make_bodies, serve_event_api
from rich.console import Console
from rich.table import Table

from gateway import app
from gateway.config import load
from gateway.telemetry import logs

# What must be left of the throughput with logs, metrics and spans of so many requests.
WANTED = {"1 %": 0.75, "100 %": 0.45}


class Nothing:
    """Takes whatever is said to it, and does nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __call__(self, *_: Any, **__: Any) -> Nothing:
        """Return itself, which stands for whatever is asked of it."""
        return self

    __getattr__ = __getitem__ = __call__


def serve_collector(pipe: Connection) -> None:
    """Serve a collector that reads and takes what it is sent, and no more."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(content_type="application/x-protobuf")

    collector = web.Application(client_max_size=1 << 30)
    collector.router.add_post("/v1/{signal}", take)
    _serve(collector, pipe)


def serve_gateway(pipe: Connection, folder: str, url: str, collector: str, ratio: str) -> None:
    """Serve the gateway as `gateway serve` does, its log into a file; with an empty ratio without spans.

    With `off` for the ratio there are neither log lines nor metrics.
    """
    path = Path(folder) / "gateway.toml"
    path.write_text(TOML.format(url=url))
    (path.parent / "secret").write_text(SECRET)
    environ = {"INNGEST_DEV": "1"}
    if ratio not in {"", "off"}:
        os.environ["OTEL_BSP_SCHEDULE_DELAY"] = "500"  # so that a round's spans are exported within it
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector
        environ |= {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio, **os.environ}
    if ratio == "off":
        app.Log = app.Metrics = Nothing  # type: ignore[assignment, misc]

    async def main() -> None:
        gateway = app.Gateway(load(path, environ))
        await gateway.start()
        pipe.send(gateway.port)
        await _report(pipe)
        await gateway.stop()
        text = "" if ratio == "off" else gateway.metrics.exposition()[1].decode()
        for line in text.splitlines():
            if line.startswith("gateway_spans_dropped_total{"):
                sys.stderr.write(f"{ratio}: {line}\n")

    with (path.parent / "log").open("w") as out, asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        logs.configure("json", "info", out)
        loop.run(main())


def main() -> None:
    """Measure, print one table, and exit with 1 where less is left than must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4_000, help="requests of each gateway per round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--bytes", type=int, default=2_800, help="size of a body")
    options = parser.parse_args()
    ratios = {"nothing": "off", "logs and metrics": "", "1 %": "0.01", "100 %": "1.0"}
    with tempfile.TemporaryDirectory() as folder:
        event_api, collector = Contender("event API", serve_event_api), Contender("collector", serve_collector)
        urls = [f"http://127.0.0.1:{contender.port}" for contender in (event_api, collector)]
        gateways = {}
        for number, (name, ratio) in enumerate(ratios.items()):
            (Path(folder) / str(number)).mkdir()
            gateways[name] = Contender(name, serve_gateway, f"{folder}/{number}", *urls, ratio)
            gateways[name].measure(make_bodies(options.requests // 4, options.bytes, f"w{number}_"))
            gateways[name].cpu.clear()
        for round_ in range(options.rounds):
            for number, gateway in enumerate(gateways.values()):
                gateway.measure(make_bodies(options.requests, options.bytes, f"{number}r{round_}_"))
        for gateway in (*gateways.values(), event_api, collector):
            gateway.stop()
    left = {name: _left(gateways["nothing"], gateway) for name, gateway in gateways.items()}
    table = Table("with", "CPU-µs per webhook (median)", "of the throughput left (median of pairs)", "must be")
    for name, gateway in gateways.items():
        wanted = f"{WANTED[name]:.0%}" if name in WANTED else ""
        table.add_row(name, f"{statistics.median(gateway.cpu):.0f}", f"{left[name]:.0%}", wanted)
    Console().print(table)
    sys.exit(any(left[name] < wanted for name, wanted in WANTED.items()))


def _left(without: Contender, having: Contender) -> float:
    return statistics.median(one / other for one, other in zip(without.cpu, having.cpu, strict=True))


if __name__ == "__main__":
    main()
