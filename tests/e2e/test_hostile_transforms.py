"""A source whose transforms do all that they should not, beside one that is well: nobody waits, nothing is lost."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from gateway.history import Query
from gateway.model import State
from gateway.reload import Reloader
from tests.cli import child
from tests.hostile import FATAL, FAULTS, HANGS, LATE, MODULE
from tests.signed import dumps
from tests.world import ENVIRON, World

HELD = 8
AMPLE = 20.0

SOURCE = """
[sources.{source}]
provider = "hmac"
verify = "none"
prefix = "evil"
transform_timeout_seconds = {seconds}
{isolation}
[sources.{source}.delivery]
id = "json:/id"
type = "json:/type"
[sources.{source}.transforms]
"""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let the commands find the configuration and its secrets."""
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)


async def reasons(world: World) -> dict[str, str]:
    """Return why each delivery is dead, by its id."""
    found = await world.gateway.inbox.search(Query(state=State.DEAD, limit=1_000))
    return {history.entry.delivery.id: history.entry.reason for history in found}


async def send(world: World, source: str, kind: str, number: int = 0) -> None:
    """Send a delivery to a hostile source."""
    body = dumps({"id": f"{kind}-{number}", "type": kind})
    assert (await world.post(source, [("content-type", "application/json")], body))[0] == 200


def table(source: str, isolation: str, seconds: float, names: Iterable[str]) -> str:
    """Return the configuration of a hostile source, with a transform for each type."""
    lines = [f'{name} = "./hostile.py:{name}"' for name in names]
    return SOURCE.format(source=source, isolation=isolation, seconds=seconds) + "\n".join(lines)


# A thread that is interrupted while the garbage collector calls back tells of it, and is interrupted again.
@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    ("isolation", "faults"),
    [
        ('isolation = "thread"', FAULTS),
        ('isolation = "process"\ntransform_memory_mb = 96', {**FAULTS, **FATAL}),
    ],
    ids=["thread", "process"],
)
async def test_hostile_source(idle_world: World, isolation: str, faults: dict[str, str]) -> None:
    """Every delivery of the well source arrives once, while the first ones of a hostile source are not at their end.

    Each of the hostile says what went wrong, and all arrive once their transforms are mended and they are replayed.
    """
    world = idle_world
    (world.folder / "hostile.py").write_text(MODULE)
    await world.start(
        table("held", isolation, AMPLE, ["held"])
        + table("late", isolation, 0.3, HANGS)
        + table("bad", isolation, AMPLE, faults)
    )
    for number in range(HELD):
        await send(world, "held", "held", number)
    good = set()
    for name in (*HANGS, *faults):
        await send(world, "late" if name in HANGS else "bad", name)
        assert (await world.send("acme", dumps({"id": name, "type": "made"})))[0] == 200
        good.add(f"acme:{name}:made")
    await world.arrived(len(good), within=AMPLE)
    assert not [identifier for identifier in await reasons(world) if identifier.startswith("held")]
    assert sorted(event.id for event in world.event_api.events) == sorted(good)

    (world.folder / "go").touch()
    said = dict.fromkeys(HANGS, LATE) | faults | {"held": "raised LookupError: held up"}
    async with asyncio.timeout(AMPLE):
        while len(dead := await reasons(world)) < HELD + len(good):  # noqa: ASYNC110 - the inbox tells nobody
            await asyncio.sleep(0.05)
    for identifier, reason in dead.items():
        name = identifier.partition("-")[0]
        assert reason.startswith(f"./hostile.py:{name} {said[name]}")

    mended = re.sub(r"(?m)^(async )?def (?!good)(\w+)\(delivery\):$", r"\2 = good\n\1def once_\2(delivery):", MODULE)
    (world.folder / "hostile.py").write_text(mended)
    assert await Reloader(world.gateway, world.read_config).reload()
    done = await child.run("replay", "--state", "dead", "--rate", "1000", "--yes", "--json")
    assert (done.code, done.json["replayed"]) == (0, len(dead))
    await world.arrived(len(good) + len(dead))
    sources = {**dict.fromkeys(HANGS, "late"), "held": "held"}
    mapped = {f"{sources.get(name.partition('-')[0], 'bad')}:{name}:made" for name in dead}
    assert sorted(event.id for event in world.event_api.events) == sorted(good | mapped)
