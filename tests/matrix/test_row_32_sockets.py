"""Row 32 in its long form: ten thousand sockets that say nothing, or too little."""

import asyncio
import resource
from pathlib import Path

import aiohttp
import pytest

from gateway.dev.event_api import LocalEventApi
from tests.process import Process, post
from tests.world import TOML

SOCKETS = 10_000
ADDRESSES = 8
LIMIT_SECONDS = 30
LIMITS = f"header_timeout_seconds = {LIMIT_SECONDS}\nbody_timeout_seconds = {LIMIT_SECONDS}\n"
HALF_A_HEAD = b"POST /webhooks/acme HTTP/1.1\r\nHost: a\r\n"
BEGINNINGS = (b"", HALF_A_HEAD, HALF_A_HEAD + b"Content-Length: 9\r\n\r\nhalf")
LAST_LINES = (b"", b"", b"HTTP/1.1 408 Request Timeout\r\n")


def write_config(folder: Path, url: str) -> Path:
    """Write a configuration whose limits leave time to open all the sockets."""
    path = folder / "gateway.toml"
    path.write_text(TOML.format(url=url).replace("[server]\n", f"[server]\n{LIMITS}", 1))
    return path


async def connect(port: int, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect from one of several addresses, each of which has ports of its own, and say too little."""
    source = f"127.0.0.{2 + number % ADDRESSES}"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    writer.write(BEGINNINGS[number % len(BEGINNINGS)])
    return reader, writer


def open_files(pid: int) -> int:
    """Count the descriptors of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_ten_thousand_sockets(tmp_path: Path, event_api: LocalEventApi) -> None:
    """With ten thousand sockets open webhooks are served, and at the limits each of them is closed."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gateway = Process(write_config(tmp_path, event_api.url))
    await gateway.start()
    descriptors = open_files(gateway.pid)
    sockets = [await connect(gateway.port, number) for number in range(SOCKETS)]
    async with asyncio.timeout(LIMIT_SECONDS / 3), aiohttp.ClientSession() as session:
        for number in range(100):
            assert await post(session, gateway.port, f"o-{number}") == 200
    assert open_files(gateway.pid) >= descriptors + SOCKETS
    await event_api.until(lambda: event_api.total_events == 100)
    async with asyncio.timeout(2 * LIMIT_SECONDS):
        answers = [await reader.readline() for reader, _ in sockets]
    assert answers == [LAST_LINES[number % len(LAST_LINES)] for number in range(SOCKETS)]
    for _, writer in sockets:
        writer.close()
    assert await gateway.stop() == 0
