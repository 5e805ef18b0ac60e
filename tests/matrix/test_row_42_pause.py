"""Row 42: a process that stands still for longer than its leases."""

import asyncio
import signal
from collections import defaultdict
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from gateway.dev.event_api import LocalEventApi
from gateway.dev.faults import Hang
from gateway.history import Query
from gateway.model import State
from tests.bench import Bench, name_of
from tests.process import Process, post
from tests.world import TOML

LEASE_MS = 60_000
WEBHOOKS = 60
# A gateway leases for a minute, the transform's ten seconds and twice the second it gives the event API.
STOPPED_SECONDS = 75


async def test_settlement_after_the_lease(tmp_path: Path) -> None:
    """What is settled after its lease has run out and been taken is refused; it was sent again with the same bytes."""
    bench = Bench(tmp_path)
    bench.timeout_seconds = 2.0
    bench.event_api.answer_next(Hang(stored=True))
    await bench.event_api.start()
    await bench.start()
    with capture_logs() as lines:
        await bench.put("d1")
        await bench.event_api.until(lambda: bench.arrivals() == {name_of(1): 1})
        bench.clock.advance(LEASE_MS + 1)
        await bench.event_api.until(lambda: bench.arrivals() == {name_of(1): 2})
        await bench.stop()  # after the first attempt has timed out and is settled
        lost = [line for line in lines if line["event"] == "lease_lost"]
    assert [line["delivery_id"] for line in lost] == ["d1"]
    async with bench.opened() as inbox:
        [found] = await inbox.search(Query(id="d1"))
        history = await inbox.get(found.entry.key)
    assert history
    assert (history.entry.state, [attempt.outcome for attempt in history.attempts]) == (State.FORWARDED, ["accepted"])
    assert len({event.raw for event in bench.event_api.events}) == 1
    await bench.event_api.stop()


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_process_stopped_for_longer_than_its_leases(tmp_path: Path, event_api: LocalEventApi) -> None:
    """Stopped in the middle of its attempts and gone on with, a gateway forwards everything, each id with one body."""
    config = tmp_path / "gateway.toml"
    text = TOML.format(url=event_api.url).replace("timeout_seconds = 5", "timeout_seconds = 1")
    await asyncio.to_thread(config.write_text, text)
    event_api.behave = lambda number, _: Hang(stored=number % 2 == 0) if number % 3 else None
    gateway = Process(config)
    await gateway.start()
    async with aiohttp.ClientSession() as session:
        for number in range(WEBHOOKS):
            assert await post(session, gateway.port, f"o-{number}") == 200
        gateway.signal(signal.SIGSTOP)
        await asyncio.sleep(STOPPED_SECONDS)
        gateway.signal(signal.SIGCONT)
        event_api.behave = None
        assert await post(session, gateway.port, "afterwards") == 200
    wanted = {f"acme:{name}:made" for name in ("afterwards", *(f"o-{number}" for number in range(WEBHOOKS)))}
    await event_api.until(lambda: wanted <= {event.id for event in event_api.events}, within=60)
    bodies = defaultdict[str, set[bytes]](set)
    for event in event_api.events:
        bodies[event.id].add(event.raw)
    assert bodies.keys() == wanted
    assert {len(seen) for seen in bodies.values()} == {1}
    assert await gateway.stop() == 0
    assert not [line for line in gateway.lines if line.get("event") in {"crashed", "dead_letter"}]
