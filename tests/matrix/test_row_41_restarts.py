"""Row 41: a start with the host's clock wrong, and a restart once it is right."""

import asyncio
import json

import pytest
from structlog.testing import capture_logs

from gateway.history import Query
from gateway.model import State
from tests.manual_clock import ManualClock
from tests.signed import dumps
from tests.world import World

HOUR = 3_600_000
DAY = 24 * HOUR
TRUE_TIME = 1_700_000_000_000
MINUTES = 10


async def forwarded_within(world: World, clock: ManualClock, minutes: int) -> None:
    """Let minutes pass until every entry is settled as forwarded."""
    for _ in range(minutes * 60):
        if {known.entry.state for known in await world.gateway.inbox.search(Query())} == {State.FORWARDED}:
            return
        clock.advance(1_000)
        await asyncio.sleep(0.005)
    raise AssertionError(f"something still waits after {minutes} minutes")


@pytest.mark.parametrize("wrong", [DAY, -DAY, 30 * 365 * DAY])
async def test_restart_once_the_clock_is_right(idle_world: World, wrong: int) -> None:
    """After a restart with the right clock all goes out within minutes, and ids and bodies are kept as promised."""
    body = dumps({"ref": "refs/heads/main"})
    await idle_world.event_api.stop()
    clock = ManualClock(TRUE_TIME + wrong)
    await idle_world.start(clock=clock)
    assert (await idle_world.send("github", body))[0] == 200
    for _ in range(40):
        clock.advance(60_000)
        await asyncio.sleep(0.005)
    await idle_world.stop()

    await idle_world.event_api.start()
    clock = ManualClock(TRUE_TIME + HOUR)
    await idle_world.start(clock=clock)
    later = dumps({"id": "o-1", "type": "a"})
    assert (await idle_world.send("acme", later))[0] == 200
    await forwarded_within(idle_world, clock, MINUTES)
    clock.advance(int(6.9 * DAY) - HOUR)
    await asyncio.sleep(0.05)
    for source, again in (("github", body), ("acme", later)):
        status, text = await idle_world.send(source, again)
        assert (status, json.loads(text)["status"]) == (200, "duplicate")
    assert [known.body_kept for known in await idle_world.gateway.inbox.search(Query())] == [True, True]
    assert len(idle_world.event_api.events) == 2


async def test_start_with_a_clock_that_is_wrong(idle_world: World) -> None:
    """A start with the clock in another age holds up nothing that waited, and forgets nothing; it is said."""
    body = dumps({"ref": "refs/heads/main"})
    await idle_world.event_api.stop()
    clock = ManualClock(TRUE_TIME)
    await idle_world.start(clock=clock)
    assert (await idle_world.send("github", body))[0] == 200
    await idle_world.stop()

    await idle_world.event_api.start()
    clock = ManualClock(0)
    with capture_logs() as lines:
        await idle_world.start(clock=clock)
    [alarm] = [line["detail"] for line in lines if line["event"] == "inbox_alarm"]
    assert "the host's clock is" in alarm
    await forwarded_within(idle_world, clock, MINUTES)
    assert json.loads((await idle_world.send("github", body))[1])["status"] == "duplicate"
    await idle_world.stop()

    clock = ManualClock(TRUE_TIME + 6 * DAY)
    await idle_world.start(clock=clock)
    assert json.loads((await idle_world.send("github", body))[1])["status"] == "duplicate"
    assert len(idle_world.event_api.events) == 1
