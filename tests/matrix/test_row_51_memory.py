"""Row 51: a gateway under a limit of memory, and transforms that find none."""

import asyncio
import resource
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol
from aiohttp.helpers import set_exception
from aiohttp.streams import StreamReader
from aiohttp.test_utils import make_mocked_request

from gateway import Event, arrival
from gateway.dev.event_api import LocalEventApi
from gateway.model import Delivery, State
from gateway.stamp import Mapper
from tests.bench import Bench
from tests.process import Process
from tests.signed import dumps, signed_headers
from tests.world import TOML

MIB = 1 << 20
ROOM = 40 * MIB
BODY = 2 * MIB
LARGE = 40  # together twice what there is room for
SMALL = 40
MINUTE = 60_000


TRANSFORM = """
from gateway import Event

def transform(delivery):
    return Event(name=delivery.type, data={"bytes": len(delivery.json()["filler"])})
"""


class Crowd:
    """Large bodies under way at once: each comes but for its last byte, which waits until all have come or failed."""

    def __init__(self, names: Iterable[str]) -> None:
        self._missing = set(names)
        self._complete = asyncio.Event()

    async def content(self, name: str, body: bytes) -> AsyncIterator[bytes]:
        """Give a body in two pieces."""
        yield body[:-1]
        self.note(name)
        await self._complete.wait()
        yield body[-1:]

    def note(self, name: str) -> None:
        """Take note that one has come, or has failed before."""
        self._missing.discard(name)
        if not self._missing:
            self._complete.set()


class Provider:
    """Sends small bodies and, where told to, large ones; `answers` counts statuses, `acknowledged` has event ids."""

    def __init__(self, session: aiohttp.ClientSession, port: int) -> None:
        self.answers: Counter[tuple[bool, int]] = Counter()
        self.acknowledged: set[str] = set()
        self.sent: set[str] = set()
        self._session = session
        self._url = f"http://127.0.0.1:{port}/webhooks/acme"

    async def send(self, name: str, crowd: Crowd | None = None) -> None:
        """Post a genuine delivery once, a large one as part of a crowd; no answer counts as status 0."""
        body = dumps({"id": name, "type": "made", "filler": "x" * BODY if crowd else ""})
        headers = dict(signed_headers("hmac", body, at=time.time_ns() // 1_000_000))
        content = crowd.content(name, body) if crowd else body
        status = 0
        self.sent.add(f"acme:{name}:made")
        with suppress(aiohttp.ClientError, TimeoutError):
            headers["Content-Length"] = str(len(body))
            async with self._session.post(self._url, data=content, headers=headers) as response:
                status = response.status
        self.answers[crowd is not None, status] += 1
        if status == 200:
            self.acknowledged.add(f"acme:{name}:made")


async def press(provider: Provider) -> None:
    """Send large bodies at once, and small ones meanwhile."""
    names = [f"large-{number}" for number in range(LARGE)]
    crowd = Crowd(names)

    async def send_large(name: str) -> None:
        try:
            await provider.send(name, crowd)
        finally:
            crowd.note(name)

    async def send_small() -> None:
        for number in range(SMALL):
            await provider.send(f"small-{number}")

    await asyncio.gather(send_small(), *map(send_large, names))


async def test_a_limit_of_memory(tmp_path: Path, event_api: LocalEventApi) -> None:
    """Short of memory the gateway answers 2xx or 503, or dies; started again, it forwards all that it acknowledged."""
    gateway = Process(write_config(tmp_path, event_api.url))
    await gateway.start()
    limit = size_of(gateway.pid) + ROOM
    resource.prlimit(gateway.pid, resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
        provider = Provider(session, gateway.port)
        await press(provider)
    large = {status for is_large, status in provider.answers if is_large}
    assert large <= {0, 200, 503}
    assert large != {200}
    assert provider.acknowledged
    assert await ends_well(gateway)
    await gateway.start()
    await event_api.until(lambda: provider.acknowledged <= {event.id for event in event_api.events}, within=20)
    assert {event.id for event in event_api.events} <= provider.sent | {"acme:afterwards:made"}
    assert await gateway.stop() == 0


async def test_a_body_that_finds_no_memory() -> None:
    """A piece of a body for which there is no memory is not taken for one that the client framed wrongly."""
    loop = asyncio.get_running_loop()
    content = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    set_exception(content, web.RequestPayloadError("no memory"), MemoryError())  # as aiohttp's parser does
    with pytest.raises(MemoryError):
        await arrival.read_body(make_mocked_request("POST", "/", payload=content), limit=10, seconds=5)


def write_config(folder: Path, url: str) -> Path:
    """Write a configuration whose transform makes a small event of a body of any size."""
    (folder / "measures.py").write_text(TRANSFORM)
    path = folder / "gateway.toml"
    more = f'transform = "measures:transform"\nbody_limit_bytes = {2 * BODY}\n'
    path.write_text(TOML.format(url=url).replace("[sources.acme]\n", f"[sources.acme]\n{more}"))
    return path


async def ends_well(gateway: Process) -> bool:
    """Lift the limit; tell whether the gateway ends by itself, or answers as ever and stops when it is told to."""
    with suppress(ProcessLookupError):
        resource.prlimit(gateway.pid, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        provider = Provider(session, gateway.port)
        await provider.send("afterwards")
    answered = bool(provider.acknowledged)
    code = await gateway.stop()
    return code != -signal.SIGKILL and (answered or code != 0)


def size_of(pid: int) -> int:
    """Return how many bytes of address space a process has."""
    pages = Path(f"/proc/{pid}/statm").read_text().split()[0]
    return int(pages) * resource.getpagesize()


async def test_a_transform_that_finds_no_memory(bench: Bench) -> None:
    """An entry whose transform finds no memory waits and is tried again, and dies only when it never finds any."""
    fed = False

    def starve(delivery: Delivery) -> Event:
        if delivery.id == "always" or not fed:
            raise MemoryError
        return Event(name="made", data={})

    mapper = Mapper("acme", "tests:starve", starve, "acme")
    sources = {"acme": replace(bench.leasing.sources["acme"], mapper=mapper)}
    bench.forwarder.reconfigure(replace(bench.leasing, sources=sources))
    await bench.put("always", "for a while")
    begun = bench.clock.now()
    while bench.clock.now() - begun < 5 * MINUTE:
        assert State.DEAD not in (await bench.states()).values()
        bench.clock.advance(10_000)
        await asyncio.sleep(0.005)
    fed = True
    while State.DEAD not in (await bench.states()).values():
        bench.clock.advance(10_000)
        await asyncio.sleep(0.005)
    assert bench.clock.now() - begun >= 10 * MINUTE
    assert await bench.states() == {"always": State.DEAD, "for a while": State.FORWARDED}
    assert "raised MemoryError" in (await bench.history("always")).entry.reason
