"""Dead letters of a gateway: made by a transform that fails until it is mended."""

from __future__ import annotations

from pathlib import Path

from gateway.app import Gateway
from gateway.config import load
from gateway.history import Query
from gateway.model import State
from tests.signed import dumps
from tests.world import ENVIRON, World

TRANSFORM = """
from pathlib import Path
from gateway import Event

def transform(delivery):
    if not Path(__file__).with_name("mended").exists():
        raise KeyError("plan")
    return Event(name=delivery.type, data=delivery.json())
"""


async def start_broken(world: World) -> Path:
    """Start a gateway whose sources stripe and acme have a transform that fails; return its configuration file."""
    module = f"broken_{abs(hash(world.folder))}"
    (world.folder / f"{module}.py").write_text(TRANSFORM)
    path = world.write_config()
    text = path.read_text()
    for name in ("stripe", "acme"):
        text = text.replace(f"[sources.{name}]\n", f'[sources.{name}]\ntransform = "{module}:transform"\n')
    path.write_text(text)
    world.gateway = Gateway(load(path, ENVIRON))
    await world.gateway.start()
    return path


def mend(world: World) -> None:
    """Let the transform work from now on."""
    (world.folder / "mended").touch()


async def send(world: World, source: str, *names: str, kind: str = "invoice.paid") -> None:
    """Send a delivery for each name."""
    for name in names:
        body = dumps({"id": name, "type": kind, "created": 1_699_999_999, "created_at": 1_699_999_999})
        assert (await world.send(source, body))[0] == 200


async def make_dead(world: World, source: str, *names: str, kind: str = "invoice.paid") -> None:
    """Send a delivery for each name and wait until it is a dead letter."""
    already = len(await world.gateway.inbox.search(Query(state=State.DEAD, limit=1_000)))
    await send(world, source, *names, kind=kind)
    await world.settled(already + len(names), State.DEAD)


async def states(world: World) -> dict[str, State]:
    """Return the state of every delivery by its id."""
    found = await world.gateway.inbox.search(Query(limit=1_000))
    return {history.entry.delivery.id: history.entry.state for history in found}
