"""Worker processes of a gateway that serves: there from the start, renewed by SIGHUP, and gone with it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from gateway.dev.event_api import LocalEventApi
from tests.hostile import MODULE
from tests.process import Process, post
from tests.test_isolation import children, lives
from tests.world import TOML

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

ISOLATED = """[sources.acme]
isolation = "process"
transform_workers = 2
transform = "./hostile.py:{name}"
"""


class Served:
    """A gateway process whose source acme has two worker processes."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.gateway = Process(folder / "gateway.toml")
        (folder / "hostile.py").write_text(MODULE)
        self._toml = TOML.format(url=url).replace("[server]", "[server]\ndrain_seconds = 0")

    def use(self, name: str) -> None:
        """Name a transform of the hostile module in the configuration."""
        text = self._toml.replace("[sources.acme]\n", ISOLATED.format(name=name))
        (self.folder / "gateway.toml").write_text(text)

    async def post(self, name: str) -> None:
        """Post a delivery that is taken."""
        async with aiohttp.ClientSession() as session:
            assert await post(session, self.gateway.port, name) == 200


@pytest.fixture
async def served(tmp_path: Path, event_api: LocalEventApi) -> AsyncIterator[Served]:
    """Give one that is started."""
    made = Served(tmp_path, event_api.url)
    made.use("told")
    await made.gateway.start()
    yield made
    await made.gateway.stop()


async def ended(pids: set[int]) -> None:
    """Wait until none of the processes runs."""
    async with asyncio.timeout(10):
        while any(lives(pid) for pid in pids):  # noqa: ASYNC110 - the system tells nobody of it
            await asyncio.sleep(0.02)


async def test_started_beforehand_without_secrets(served: Served, event_api: LocalEventApi) -> None:
    """The workers are there before a delivery is, map it, and know none of the configuration's secrets."""
    workers = children(served.gateway.pid)
    assert len(workers) == 2
    await served.post("a")
    await event_api.until(lambda: len(event_api.events) == 1)
    told = event_api.events[0].data or {}
    assert told["pid"] in workers
    assert not [text for text in told["environ"].values() if "canary" in text or "thirty-two byt" in text]
    assert "PATH" in told["environ"]


async def test_sighup_renews_and_sigterm_ends_them(served: Served, event_api: LocalEventApi) -> None:
    """SIGHUP starts workers with the new code and ends the old ones; a fault in it keeps the old ones.

    After SIGTERM no worker is left, though one is in the middle of what never ends.
    """
    old = children(served.gateway.pid)
    module = served.folder / "hostile.py"
    module.write_text(MODULE + "1 / 0\n")
    served.gateway.signal(signal.SIGHUP)
    refused = await served.gateway.line("configuration_refused")
    assert f"division by zero ({module}:{len(MODULE.splitlines()) + 1})" in refused["faults"][0]
    assert children(served.gateway.pid) == old
    module.write_text(MODULE + "told = good\n")
    served.gateway.signal(signal.SIGHUP)
    await served.gateway.line("transforms_renewed")
    await served.post("b")
    await event_api.until(lambda: len(event_api.events) == 1)
    assert event_api.events[0].data == {"n": "b"}
    await ended(old)
    served.use("computes")
    served.gateway.signal(signal.SIGHUP)
    await served.gateway.line("configuration_reloaded", count=2)
    await served.post("c")
    workers = children(served.gateway.pid)
    served.gateway.signal(signal.SIGTERM)
    assert await served.gateway.wait() == 0
    assert not any(lives(pid) for pid in workers)


async def test_they_die_with_the_gateway(served: Served) -> None:
    """After kill -9 of the gateway its workers are gone, idle or not, and the delivery is mapped at the next start."""
    served.use("computes")
    served.gateway.signal(signal.SIGHUP)
    await served.gateway.line("configuration_reloaded")
    await served.post("a")
    workers = children(served.gateway.pid)
    assert len(workers) >= 2
    served.gateway.signal(signal.SIGKILL)
    assert await served.gateway.wait() == -signal.SIGKILL
    await ended(workers)
    served.use("good")
    await served.gateway.start()
    await served.gateway.line("attempt")
