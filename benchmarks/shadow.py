"""What `gateway shadow` takes: a hundred thousand stored deliveries, the shipped Stripe transform against others.

Run it with `.venv/bin/python -m benchmarks.shadow [deliveries]`; it ends with 1 when the shipped transform against
itself is below 5,000 deliveries a second of CPU time, or when memory grows while it runs.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sys
import tempfile
import time
from pathlib import Path

import orjson

import gateway
from gateway.history import Query
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import Delivery, Event
from gateway.shadow.tally import Tally
from gateway.shadow.walk import walk
from gateway.transform import Mapper, load

DELIVERIES = 100_000
BUDGET = 5_000
GROWTH_MB = 20.0
PUT = 1_000
NOW = 1_800_000_000_000
SAMPLES = Path(gateway.__file__).parent / "dev" / "samples" / "stripe"
SHIPPED = "transforms.stripe:transform"


def renamed(delivery: Delivery) -> Event:
    """Change every event: its name, two fields of its data and a field of its own."""
    payload = delivery.json()
    return Event(name=f"x.{delivery.type}", data={**payload, "livemode": "yes", "created": 0, "more": 1})


async def fill(path: Path, count: int) -> float:
    """Put the bodies of the samples in turns; return the mean size of a body in bytes."""
    bodies = [orjson.dumps(orjson.loads(file.read_bytes())["body"]) for file in sorted(SAMPLES.glob("*.json"))]
    inbox = SqliteInbox.open(path, dedupe_window_ms=1)
    for start in range(0, count, PUT):
        numbers = range(start, min(start + PUT, count))
        await inbox.put([delivery(number, bodies[number % len(bodies)]) for number in numbers], NOW)
    await inbox.close()
    return sum(map(len, bodies)) / len(bodies)


def delivery(number: int, body: bytes) -> Delivery:
    """Return a delivery as the gateway keeps it."""
    headers = {"content-type": "application/json; charset=utf-8", "user-agent": "Stripe/1.0", "host": "example.com"}
    kind = orjson.loads(body)["type"]
    fields = {"time": NOW, "version": "2025-01-27", "headers": headers, "secret": 0, "content": body}
    return Delivery("stripe", "stripe", f"evt_1NG8Du2eZvKYlo2C{number:08x}", kind, NOW + number, body, **fields)  # type: ignore[arg-type]


def memory_mb() -> float:
    """Return the memory of this process that is in use now."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this system does not tell the memory of a process")


async def measure(path: Path, new: Mapper, count: int) -> tuple[float, float]:
    """Print what one run takes; return deliveries a second of CPU time, and by how many MB memory grew."""
    old = Mapper("stripe", SHIPPED, load(SHIPPED), "stripe")
    inbox = SqliteInbox.open(path, dedupe_window_ms=1, read_only=True)
    tally, sizes = Tally(), []

    def progress(done: int) -> None:
        if done >= count // 10:
            sizes.append(memory_mb())

    cpu, wall = time.process_time(), time.perf_counter()
    query = Query(source="stripe", limit=count)
    await walk(inbox, query, (old, new), tally, progress=progress, stop=asyncio.Event())
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    await inbox.close()
    speed, growth = tally.deliveries / cpu, max(sizes) - sizes[0]
    told = f"{tally.deliveries:,} deliveries, {tally.changed:,} changed: {speed:,.0f} a second of CPU time"
    rest = f"{tally.deliveries / wall:,.0f} a second, {sizes[0]:.0f} MB, grown by {growth:.1f} MB"
    print(f"{new.reference}: {told}, {rest}")  # noqa: T201 - the output of a script
    return speed, growth


async def main() -> int:
    """Print the table; tell whether all is within the budget."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else DELIVERIES
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "inbox.db"
        print(f"{count:,} deliveries, {await fill(path, count):,.0f} bytes on average")  # noqa: T201 - as above
        same = Mapper("stripe", SHIPPED, load(SHIPPED), "stripe")
        speed, growth = await measure(path, same, count)
        other = dataclasses.replace(same, reference="all changed", function=renamed)
        _, changed_growth = await measure(path, other, count)
    return 0 if speed >= BUDGET and max(growth, changed_growth) <= GROWTH_MB else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
