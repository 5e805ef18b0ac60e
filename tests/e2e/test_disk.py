"""What providers are answered as the inbox's disk fills up, and after it was found damaged."""

import asyncio
from pathlib import Path

from structlog.testing import capture_logs

from gateway.app import Gateway
from gateway.history import Query
from gateway.inbox.disk_space import GIB, Space
from gateway.inbox.sqlite import SqliteInbox
from tests.signed import BODIES
from tests.world import World

DISK = 100 * GIB


class Disk:
    """A disk of which the test says how much is left."""

    def __init__(self) -> None:
        self.free = DISK // 2

    def measure(self, _: Path) -> Space:
        """Return the space."""
        return Space(self.free, DISK)


async def start_on(world: World, disk: Disk) -> Gateway:
    """Start a gateway on the disk."""
    path = world.config().inbox_path
    inbox = SqliteInbox.open(path, dedupe_window_ms=10**9, measured=disk.measure)
    world.gateway = Gateway(world.config(), inbox=inbox)
    await world.gateway.start()
    return world.gateway


async def until_answered(world: World, source: str, status: int) -> str:
    """Send until the answer is `status`, which it must be once the disk is looked at again; return its text."""
    body = BODIES["stripe"] if source == "stripe" else b'{"ref": "refs/heads/main"}'
    for _ in range(200):
        answered, text = await world.send(source, body)
        if answered == status:
            return text
        await asyncio.sleep(0.02)
    raise AssertionError(status)


async def test_disk_that_fills_up(idle_world: World) -> None:
    """Scarce space is kept for those who do not send again; with none left everybody gets 503, until there is some."""
    disk = Disk()
    await start_on(idle_world, disk)
    disk.free = 2 * GIB
    assert await until_answered(idle_world, "stripe", 503) == '{"status":"unavailable","reason":"inbox_unavailable"}'
    assert (await idle_world.send("github", b"{}"))[0] == 200
    disk.free = GIB // 2
    await until_answered(idle_world, "github", 503)
    disk.free = DISK // 2
    await until_answered(idle_world, "github", 200)
    await until_answered(idle_world, "stripe", 200)


async def test_damaged_inbox_is_kept_aside(idle_world: World) -> None:
    """A damaged file is kept aside with an alarm in the log, and webhooks are taken into a fresh one."""
    path = idle_world.config().inbox_path
    inbox = SqliteInbox.open(path, dedupe_window_ms=1)
    await inbox.close()
    content = path.read_bytes()
    path.write_bytes(content[:100] + b"\xff" * (len(content) - 100))
    with capture_logs() as lines:
        await idle_world.start()
        assert (await idle_world.send("stripe", BODIES["stripe"]))[0] == 200
    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["inbox_alarm"]
    assert len(list(path.parent.glob("inbox.db.corrupt-*Z"))) == 1
    assert len(await idle_world.gateway.inbox.search(Query())) == 1
