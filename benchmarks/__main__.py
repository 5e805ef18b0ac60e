"""The gateway beside what people write by hand and the floor, in one interleaved run: `make bench`."""

from __future__ import annotations

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks import results, traffic
from benchmarks.contenders import BARE, DIRECT, FLOOR, GATEWAYS, Contender, by_hand, event_api, running
from benchmarks.load import Result
from benchmarks.measuring import Capacity, capacity, latencies, told
from benchmarks.process import Process

WARM_UP = 300
ROUND_SECONDS = 4.0
FEWEST, MOST = 1_000, 30_000
PACED_SECONDS = 8.0
SHARE = 0.5


class Row:
    """One contender and what was measured of it."""

    def __init__(self, contender: Contender, process: Process) -> None:
        self.contender = contender
        self.process = process
        self.rounds: list[Capacity] = []
        self.count = FEWEST
        self.paced: Result = Result()

    def warm_up(self, api: Process) -> None:
        """Find how many requests fill a round."""
        capacity(self.process, api, self._requests(WARM_UP), forwards=self.contender.forwards)
        found = capacity(self.process, api, self._requests(FEWEST), forwards=self.contender.forwards)
        self.count = min(MOST, max(FEWEST, int(found.rate * ROUND_SECONDS)))

    def measure(self, api: Process) -> None:
        """Measure one round."""
        found = capacity(self.process, api, self._requests(self.count), forwards=self.contender.forwards)
        self.rounds.append(found)

    def pace(self) -> None:
        """Measure latencies at half of what the contender was found to do."""
        self.paced = latencies(self.process, self.middle("rate") * SHARE, PACED_SECONDS)
        self.process.settled_cpu()

    def middle(self, figure: str) -> float:
        """Return the median of a figure over the rounds."""
        return float(median(getattr(found, figure) for found in self.rounds))

    def told(self, floor: float) -> dict[str, Any]:
        """Return the row's figures; `floor` is the CPU-µs of the bare handler."""
        return {
            "contender": self.contender.name,
            "requests_per_second": round(self.middle("rate")),
            "answers_per_second": round(self.middle("answers_rate")),
            "cpu_us": round(self.middle("cpu_us"), 1),
            "cpu_us_of_rounds": [round(found.cpu_us, 1) for found in self.rounds],
            "ratio_to_floor": round(self.middle("cpu_us") / floor, 2),
            "paced_at": round(self.middle("rate") * SHARE),
            **told(self.paced),
            "peak_mb": round(self.process.peak_mb),
            "start_seconds": round(self.process.start_seconds, 2),
            "load_tool_cpu_us": round(self.middle("load_cpu_us"), 1),
            "event_api_cpu_us": round(self.middle("event_api_cpu_us"), 1),
        }

    def _requests(self, count: int) -> list[bytes]:
        return traffic.requests(traffic.bodies(count), self.process.port)


def compare(contenders: list[Contender], rounds: int) -> list[dict[str, Any]]:
    """Measure the contenders in turns, round by round; return the rows of the table."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        api = stack.enter_context(event_api())
        url = f"http://127.0.0.1:{api.port}"
        rows = [
            Row(contender, stack.enter_context(running(contender, folder / str(number), url)))
            for number, contender in enumerate(contenders)
        ]
        for row in rows:
            row.warm_up(api)
        for _ in range(rounds):
            for row in rows:
                row.measure(api)
        for row in rows:
            row.pace()
        floor = next(row.middle("cpu_us") for row in rows if row.contender.name == FLOOR)
        return [row.told(floor) for row in rows]


def show(rows: list[dict[str, Any]]) -> None:
    """Print the table."""
    table = Table(
        title="of 2.8 KB Stripe webhooks; latency of the answer at half of the capacity", title_justify="left"
    )
    for title in ("contender", "webhooks/s", "CPU-µs", "to the floor", "p50 ms", "p99", "p99.9", "peak MB", "start s"):
        table.add_column(title, justify="left" if title == "contender" else "right")
    for row in rows:
        figures = (row[key] for key in ("p50_ms", "p99_ms", "p999_ms"))
        table.add_row(
            row["contender"],
            f"{row['requests_per_second']:,}",
            f"{row['cpu_us']:.0f}",
            f"{row['ratio_to_floor']:.1f}",
            *[f"{figure:.1f}" for figure in figures],
            str(row["peak_mb"]),
            f"{row['start_seconds']:.2f}",
        )
    Console(width=120).print(table)


def main() -> None:
    """Measure, print the table and keep the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--by-hand", help="a Python with what benchmarks/requirements.txt names", default="")
    options = parser.parse_args()
    described = results.machine()
    hand_made = [by_hand(options.by_hand)] if options.by_hand else []
    rows = compare([BARE, *GATEWAYS, DIRECT, *hand_made], options.rounds)
    show(rows)
    kept = results.write("compare", described, {"body_bytes": len(traffic.bodies(1)[0]), "rows": rows})
    Console().print(f"kept in benchmarks/results/{kept.name}")


if __name__ == "__main__":
    main()
