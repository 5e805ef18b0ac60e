"""Three days without an event API: the backlog is on disk and nowhere else, and all of it goes out afterwards."""

import asyncio
import ctypes
import gc
import json
import multiprocessing
import os
import random
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from gateway.batch import Limits
from gateway.errors import EventApiUnreachable
from gateway.outcome import Answer
from tests.signed import SECRETS, signed
from tests.simulation.oracle import Oracle
from tests.simulation.process import OUTSIDE, Process
from tests.simulation.test_seeds import MEMORY
from tests.simulation.virtual_loop import VirtualClock, run

DELIVERIES = int(os.environ.get("SIM_BACKLOG", "1500"))
BODY_BYTES = 20_000
OUTAGE_SECONDS = 3 * 86_400
MEBIBYTE = 1_048_576


class Outage:
    """An event API that is away, and then counts what comes."""

    def __init__(self) -> None:
        self.up = False
        self.requests_while_down = 0
        self.seen = bytearray(DELIVERIES)

    async def send(self, body: bytes, seed: str, _traceparent: str) -> Answer:
        """Refuse the connection, or keep everything."""
        if not self.up:
            self.requests_while_down += 1
            raise EventApiUnreachable("no connection to the event API: Connection refused")
        events = json.loads(body)
        for event in events:
            number = int(event["id"].split(":")[1][1:])
            assert event["id"] == f"acme:d{number}:made"
            self.seen[number] += 1
        return Answer(200, tuple(f"{seed}/{n}" for n in range(len(events))))


class Flatness(Oracle):
    """An oracle without memory: what it knew of each delivery would be measured with the gateway."""

    def settle(self, *_: object) -> None:
        """Note nothing."""


def resident() -> float:
    """Return the resident memory of this process in MiB, without what is free and only kept by the allocator."""
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / MEBIBYTE


async def sit_out(folder: Path) -> tuple[Outage, list[float], int, int]:
    """Receive deliveries evenly over the outage, then let them out; return memory at a tenth, the end and after."""
    if task := asyncio.current_task():
        task.set_name(OUTSIDE)
    outage, clock = Outage(), VirtualClock(60.0)
    process = Process(folder / "inbox.db", clock, Flatness(), random.Random(1))
    process.transport = outage
    process.limits = Limits(request_bytes=524_288, event_bytes=524_000, events=100)
    process.start()
    measured: list[float] = []
    for number in range(DELIVERIES):
        document = {"id": f"d{number}", "type": "made", "kind": "plain", "events": 1, "filler": "x" * BODY_BYTES}
        body = json.dumps(document).encode()
        await process.receive(signed("hmac", body, secret=SECRETS["hmac"], at=clock.now()))
        await asyncio.sleep(OUTAGE_SECONDS / DELIVERIES)
        if number in {DELIVERIES // 10, DELIVERIES - 1}:
            measured.append(resident())
    tasks = len(asyncio.all_tasks())
    outage.up = True
    await asyncio.sleep(3_600)
    unfinished = await process.unfinished()
    measured.append(resident())
    await process.stop()
    return outage, measured, tasks, unfinished


def outcome(folder: Path) -> tuple[list[int], int, list[float], int, int]:
    """Sit the outage out in a process of its own, and a second time, when all that it needs has been loaded."""
    for name in ("first", "second"):
        (folder / name).mkdir()
        outage, measured, tasks, unfinished = run(sit_out(folder / name))
    return list(outage.seen), outage.requests_while_down, measured, tasks, unfinished


def test_three_days_without_an_event_api() -> None:
    """A backlog of three days leaves memory flat within 10 MiB, costs few requests, and arrives whole, each id once."""
    with (
        tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder,
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as fresh,
    ):
        seen, requests_while_down, measured, tasks, unfinished = fresh.submit(outcome, Path(folder)).result()
    print(f"{DELIVERIES} deliveries; MiB at a tenth, at the end of the outage, drained: {measured}")  # noqa: T201
    assert set(seen) == {1}
    assert max(measured) - measured[0] < 10
    assert requests_while_down < OUTAGE_SECONDS / 60
    assert (tasks < 10, unfinished) == (True, 0)
