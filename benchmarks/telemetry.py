"""What logs, metrics and traces cost: CPU time per webhook with them and without, in paired and interleaved rounds.

Four gateways serve in processes of their own: without any of the three, with logs and metrics, with spans of 1 % of the
requests as well, and with spans of all. A round loads each of them once, in turn, and is one pair with the first of its
round; the figure is the median of the pairs, as CPU time without over CPU time with, which is the share of throughput
that is left. CPU time is that of the serving process with all of its threads, the export to a collector included.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import traffic
from benchmarks.contenders import event_api, gateway, running, silent_gateway
from benchmarks.measuring import capacity

# What must be left of the throughput with logs, metrics and spans of so many requests.
WANTED = {"1 %": 0.75, "100 %": 0.45}
CONTENDERS = (
    silent_gateway("nothing"),
    gateway("logs and metrics"),
    gateway("1 %", traced=0.01),
    gateway("100 %", traced=1.0),
)


def measure(requests: int, rounds: int) -> dict[str, list[float]]:
    """Return the CPU-µs per webhook of each round, by contender."""
    found: dict[str, list[float]] = {contender.name: [] for contender in CONTENDERS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        api = stack.enter_context(event_api())
        url = f"http://127.0.0.1:{api.port}"
        serving = [stack.enter_context(running(one, folder / str(n), url)) for n, one in enumerate(CONTENDERS)]
        for round_ in range(rounds + 1):
            for contender, process in zip(CONTENDERS, serving, strict=True):
                count = requests if round_ else requests // 4  # to warm up, which counts for nothing
                sent = traffic.requests(traffic.bodies(count), process.port)
                cpu = capacity(process, api, sent, forwards=True).cpu_us
                if round_:
                    found[contender.name].append(cpu)
    return found


def main() -> None:
    """Measure, print one table, and exit with 1 where less is left than must be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=8_000, help="requests of each gateway per round")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    found = measure(options.requests, options.rounds)
    nothing = found["nothing"]
    left = {
        name: statistics.median(one / other for one, other in zip(nothing, cpu, strict=True))
        for name, cpu in found.items()
    }
    table = Table("with", "CPU-µs per webhook (median)", "of the throughput left (median of pairs)", "must be")
    for name, cpu in found.items():
        wanted = f"{WANTED[name]:.0%}" if name in WANTED else ""
        table.add_row(name, f"{statistics.median(cpu):.0f}", f"{left[name]:.0%}", wanted)
    Console().print(table)
    sys.exit(any(left[name] < wanted for name, wanted in WANTED.items()))


if __name__ == "__main__":
    main()
