"""Rows 49 and 50: a gateway whose log nobody reads, and one that runs out of descriptors."""

import asyncio
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from gateway.dev.event_api import LocalEventApi
from tests.process import Process, post
from tests.world import ENVIRON, TOML

WEBHOOKS = 500  # several times what a pipe holds of their log lines
DESCRIPTORS = 64
CONNECTIONS = 150


def write_config(folder: Path, event_api: LocalEventApi) -> Path:
    """Write the configuration of a process on a port that `Process` reads from its log."""
    path = folder / "gateway.toml"
    path.write_text(TOML.format(url=event_api.url))
    return path


async def re_send(session: aiohttp.ClientSession, port: int, name: str) -> int:
    """Post until there is an answer, as providers do; return its status."""
    for _ in range(100):
        with suppress(aiohttp.ClientError):
            return await post(session, port, name)
        await asyncio.sleep(0.1)
    raise AssertionError("the gateway never came back")


async def test_log_that_nobody_reads(tmp_path: Path, event_api: LocalEventApi) -> None:
    """When the reader of the log stops, webhooks are answered and forwarded; read again, the log goes on."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "serve", "--config", str(write_config(tmp_path, event_api)),
        env={**os.environ, **ENVIRON}, stderr=asyncio.subprocess.PIPE, limit=1_024,
    )  # fmt: skip
    assert child.stderr
    port = 0
    while not port:
        line = (await child.stderr.readuntil()).decode()
        if '"started"' in line:
            port = int(line.split("http://127.0.0.1:")[1].split("/")[0])
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        for number in range(WEBHOOKS):
            assert await post(session, port, f"o-{number}") == 200
    await event_api.until(lambda: event_api.total_events == WEBHOOKS)
    child.terminate()
    _, lines = await asyncio.gather(child.wait(), child.stderr.read())
    assert child.returncode == 0
    assert b'"draining"' in lines


async def test_descriptors_that_run_out(tmp_path: Path, event_api: LocalEventApi) -> None:
    """Out of descriptors the gateway acknowledges nothing new and lives on; when there are some again, all is taken."""
    gateway = Process(write_config(tmp_path, event_api))
    await gateway.start()
    resource.prlimit(gateway.pid, resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    sockets = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(CONNECTIONS)]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=1)) as session:
        with pytest.raises((TimeoutError, aiohttp.ClientError)):
            await post(session, gateway.port, "while there are none")
    for _, writer in sockets:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        for number in range(10):
            assert await re_send(session, gateway.port, f"o-{number}") == 200
    wanted = {f"acme:o-{number}:made" for number in range(10)}
    await event_api.until(lambda: wanted <= {event.id for event in event_api.events})
    assert await gateway.stop() == 0
