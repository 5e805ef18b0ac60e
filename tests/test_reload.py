"""Changed transforms are taken all at once or not at all, and what is under way ends as it began."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.history import Query
from gateway.model import State
from gateway.reload import Reloader
from tests.signed import dumps
from tests.world import World

CONFIG = """
[sources.one]
provider = "hmac"
verify = "none"
transform = "reloaded_one:transform"
isolation = "{isolation}"
[sources.one.delivery]
id = "json:/id"
type = "json:/type"
[sources.two]
provider = "hmac"
verify = "none"
transform = "./maps/two.py:transform"
[sources.two.delivery]
id = "json:/id"
type = "json:/type"
"""
ONE = """
import time
from pathlib import Path
from gateway import Event
from reloaded_shared import VERSION

def transform(delivery):
    if delivery.type == "slow":
        Path(__file__).with_name("begun").touch()
        while not Path(__file__).with_name("go").exists():
            time.sleep(0.01)
    return Event(name=VERSION, data={{}})  # {version}
"""
TWO = "from gateway import Event\n\ndef transform(delivery):\n    return Event(name='{version}', data={{}})\n"


@pytest.fixture(autouse=True)
def _imports_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo what loading a transform does to the path and the modules."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    yield
    for name in [name for name in sys.modules if name.startswith("reloaded_")]:
        del sys.modules[name]


def write(world: World, version: str, *, two: str = "") -> None:
    """Write the transforms, with the age that they always had."""
    (world.folder / "maps").mkdir(exist_ok=True)
    for name, text in {
        "reloaded_one.py": ONE.format(version=version),
        "reloaded_shared.py": f"VERSION = '{version}'\n",
        "maps/two.py": two or TWO.format(version=version),
    }.items():
        (world.folder / name).write_text(text)
        os.utime(world.folder / name, (1_700_000_000, 1_700_000_000))


async def names(world: World, *deliveries: tuple[str, str], kind: str = "made") -> list[str]:
    """Post deliveries, each by source and id; return the names of their events once these are there."""
    for source, name in deliveries:
        body = dumps({"id": name, "type": kind})
        assert (await world.post(source, [("content-type", "application/json")], body))[0] == 200
    wanted = {f"{source}:{name}:" for source, name in deliveries}

    def arrived() -> list[str]:
        return sorted(event.name for event in world.event_api.events if event.id.rpartition(":")[0] + ":" in wanted)

    await world.event_api.until(lambda: len(arrived()) == len(deliveries), within=10)
    return arrived()


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_reload(idle_world: World, isolation: str) -> None:
    """Changed modules, and those that import them, are taken together; a delivery under way ends with the old ones.

    An edit is seen that leaves size and time of a file as they were.
    """
    world = idle_world
    write(world, "v1")
    await world.start(CONFIG.format(isolation=isolation))
    reloader = Reloader(world.gateway, world.read_config)
    assert await names(world, ("one", "a"), ("two", "a")) == ["hmac/v1", "hmac/v1"]
    world.gateway._sender.set_apart("one")  # where it has all of its time for the one that is slow
    slow = asyncio.create_task(names(world, ("one", "slow"), kind="slow"))
    async with asyncio.timeout(10):
        while not await asyncio.to_thread((world.folder / "begun").exists):  # noqa: ASYNC110 - another process tells
            await asyncio.sleep(0.01)
    write(world, "v2")
    with capture_logs() as lines:
        assert await reloader.reload()
    [line] = [line for line in lines if line["event"] == "transforms_renewed"]
    changed = {Path(file).name for file in line["files"] if Path(file).is_relative_to(world.folder)}
    assert changed == {"two.py", "reloaded_one.py", "reloaded_shared.py"}
    new = asyncio.create_task(names(world, ("one", "b"), ("two", "b")))
    (world.folder / "go").touch()
    assert await new == ["hmac/v2", "hmac/v2"]
    assert await slow == ["hmac/v1"]
    with capture_logs() as lines:
        assert await reloader.reload()
    assert {"configuration_reloaded"} <= {line["event"] for line in lines} <= {"configuration_reloaded", "attempt"}


@pytest.mark.parametrize("isolation", ["thread", "process"])
async def test_a_faulty_change_changes_nothing(idle_world: World, isolation: str) -> None:
    """When one of several changed files does not import, all stay as they were, and the log says file and line."""
    world = idle_world
    write(world, "v1")
    await world.start(CONFIG.format(isolation=isolation))
    reloader = Reloader(world.gateway, world.read_config)
    before = dict(sys.modules)
    write(world, "v2", two="from gateway import Event\n\n1 / 0\n")
    for _ in range(2):
        with capture_logs() as lines:
            assert not await reloader.reload()
        [refused] = [line for line in lines if line["event"] == "configuration_refused"]
        assert f"division by zero ({world.folder}/maps/two.py:3)" in refused["faults"][0]
        assert await names(world, ("one", "a"), ("two", "a")) == ["hmac/v1", "hmac/v1"]
        assert {name: module for name, module in sys.modules.items() if name in before} == before
    write(world, "v3")
    assert await reloader.reload()
    assert await names(world, ("one", "b"), ("two", "b")) == ["hmac/v3", "hmac/v3"]


async def test_a_change_that_fails_in_the_worker_alone(idle_world: World) -> None:
    """Where only the worker process cannot load a changed module, the change is refused as well."""
    world = idle_world
    write(world, "v1")
    await world.start(CONFIG.format(isolation="process"))
    write(world, "v2")
    one = world.folder / "reloaded_one.py"
    one.write_text(f"import os\nassert os.getpid() == {os.getpid()}, 'only there'\n{one.read_text()}")
    with capture_logs() as lines:
        assert not await Reloader(world.gateway, world.read_config).reload()
    [refused] = [line for line in lines if line["event"] == "configuration_refused"]
    assert f"raised AssertionError: only there ({one}:2)" in refused["faults"][0]
    assert await names(world, ("one", "a"), ("two", "a")) == ["hmac/v1", "hmac/v1"]
    assert not await world.gateway.inbox.search(Query(state=State.DEAD))
