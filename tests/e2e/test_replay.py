"""`gateway replay` beside a gateway that serves: what was dead arrives, and what was forwarded runs again."""

import shlex
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.model import State
from tests.cli import child
from tests.dead_letters import make_dead, mend, send, start_broken, states
from tests.world import ENVIRON, World


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the commands find the configuration and its secrets."""
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)


async def test_dead_letters_run_through_the_mended_transform(idle_world: World) -> None:
    """Dead letters arrive with the ids they always had, once, in small steps taken by the gateway that serves."""
    world = idle_world
    await start_broken(world)
    await make_dead(world, "stripe", *(f"evt_{n}" for n in range(30)))
    await make_dead(world, "acme", "order-1", "order-2")
    dry = await child.run("replay", "--reason", "KeyError", "--source", "stripe", "--dry-run", "--json")
    assert (dry.json["count"], dry.json["replayed"]) == (30, 0)
    assert set((await states(world)).values()) == {State.DEAD}
    mend(world)
    done = await child.run("replay", "--reason", "KeyError", "--source", "stripe", "--rate", "100", "--yes", "--json")
    assert (done.code, done.json["replayed"]) == (0, 30)
    assert done.json["served_by"] == f"http://127.0.0.1:{world.gateway.admin_port}"
    await world.settled(30)
    assert sorted(event.id for event in world.event_api.events) == sorted(
        f"stripe:evt_{n}:invoice.paid" for n in range(30)
    )
    assert (await states(world))["order-1"] is State.DEAD
    told = await child.run("replay", "order-1", "acme:nothing")
    assert (told.code, told.out) == (2, "")
    assert "acme:nothing: nothing in the inbox has this" in told.err


async def test_a_manual_re_send_says_how_to_run_it_again(idle_world: World) -> None:
    """A re-send is absorbed, and the command in its log line runs the delivery again under new ids."""
    world = idle_world
    await start_broken(world)
    mend(world)
    await send(world, "stripe", "evt_1")
    await world.settled(1)
    with capture_logs() as lines:
        await send(world, "stripe", "evt_1")
    [line] = [line for line in lines if line["event"] == "request"]
    assert line["outcome"] == "duplicate"
    command = line["detail"].partition("to run it again: ")[2]
    assert command == "gateway replay evt_1 --state forwarded --mode rerun"
    done = await child.run(*shlex.split(command)[1:], "--yes")
    assert done.code == 0
    assert "1 of 1 are pending again; the gateway at http://127.0.0.1:" in done.out
    await world.arrived(2)
    assert [event.id for event in world.event_api.runs()] == [
        "stripe:evt_1:invoice.paid",
        "stripe:evt_1:invoice.paid.r1",
    ]


async def test_a_resend_starts_no_second_run(idle_world: World) -> None:
    """Sent again under the same ids, the event API takes the event and runs nothing a second time."""
    world = idle_world
    await start_broken(world)
    mend(world)
    await send(world, "stripe", "evt_1")
    await world.settled(1)
    done = await child.run("replay", "stripe:evt_1:invoice.paid", "--state", "forwarded", "--yes", "--json")
    assert (done.code, done.json["replayed"]) == (0, 1)
    await world.arrived(2)
    assert [event.id for event in world.event_api.runs()] == ["stripe:evt_1:invoice.paid"]


async def test_what_was_marked_while_nothing_served(idle_world: World) -> None:
    """What was replayed while no gateway served is forwarded by the next one."""
    world = idle_world
    path = await start_broken(world)
    await make_dead(world, "stripe", "evt_1")
    await world.stop()
    mend(world)
    done = await child.run("replay", "--yes", "--config", str(path))
    assert "the next `gateway serve` forwards them" in done.out
    assert world.event_api.events == []
    await start_broken(world)
    [event] = await world.arrived(1)
    assert event.id == "stripe:evt_1:invoice.paid"


@pytest.mark.parametrize(
    ("host", "told"),
    [("127.0.0.1:9", "does not answer at http://127.0.0.1:9: Connection refused"), ("", "names no admin listener yet")],
)
async def test_a_gateway_that_cannot_be_asked(idle_world: World, host: str, told: str) -> None:
    """Where the gateway that serves cannot be asked, one sentence says so and nothing runs."""
    world = idle_world
    await start_broken(world)
    await make_dead(world, "stripe", "evt_1")
    (world.folder / "inbox.db.admin").write_text(f"http://{host}\n0123456789abcdef\n" if host else "")
    failed = await child.run("replay", "--yes")
    assert failed.code != 0
    assert told in failed.err
    assert len(failed.err.splitlines()) == 1
    assert set((await states(world)).values()) == {State.DEAD}
