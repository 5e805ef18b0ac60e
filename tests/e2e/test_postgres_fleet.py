"""Three gateway processes on one PostgreSQL, under load and under fire. The witnesses are providers and event API."""

import asyncio
import json
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import pytest

from gateway.dev.event_api import LocalEventApi
from gateway.dev.faults import Hang
from gateway.inbox.postgres import PostgresInbox
from gateway.model import State
from tests.postgres_proxy import CommitCutter
from tests.postgres_server import PostgresServer
from tests.process import Process
from tests.signed import dumps, signed_headers
from tests.world import TOML

SEED = int(os.environ.get("GATEWAY_TEST_SEED", "") or random.getrandbits(32))
LEASE_SECONDS = 2 * 1 + 1 + 1  # two requests, a transform, and the margin of tests/hasty_gateway.py
CUT = 0.03


class Providers:
    """Send each delivery to a gateway at random until it is acknowledged, and every tenth to two of them at once."""

    def __init__(self, gateways: list[Process], rng: random.Random) -> None:
        self.acknowledged: dict[str, str] = {}  # the body, by id
        self.outcomes: Counter[str] = Counter()
        self._gateways = gateways
        self._rng = rng
        self._stopping = False
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, rate: float) -> None:
        """Send so many a second until `stop`, then until all are acknowledged."""
        timeout = aiohttp.ClientTimeout(total=4)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(force_close=True)) as session:
            number = 0
            while not self._stopping:
                number += 1
                self._start(session, f"evt_{number}")
                await asyncio.sleep(self._rng.expovariate(rate))
            while self._tasks:
                await asyncio.gather(*self._tasks)

    def stop(self) -> None:
        """Send nothing new."""
        self._stopping = True

    def _start(self, session: aiohttp.ClientSession, name: str) -> None:
        body = dumps({"id": name, "type": "made", "padding": self._rng.randbytes(self._rng.randint(0, 2_000)).hex()})
        chosen = self._rng.sample(self._gateways, 2 if self._rng.random() < 0.1 else 1)
        for gateway in chosen:
            task = asyncio.create_task(self._deliver(session, gateway, name, body))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, session: aiohttp.ClientSession, gateway: Process, name: str, body: bytes) -> None:
        while not await self._post(session, gateway, body):
            gateway = self._rng.choice(self._gateways)
            await asyncio.sleep(self._rng.uniform(0.05, 0.4))
        self.acknowledged[name] = json.loads(body)["padding"]

    async def _post(self, session: aiohttp.ClientSession, gateway: Process, body: bytes) -> bool:
        headers = dict(signed_headers("hmac", body, at=time.time_ns() // 1_000_000))
        url = f"http://127.0.0.1:{gateway.port}/webhooks/acme"
        try:
            async with session.post(url, data=body, headers=headers) as response:
                self.outcomes[str(response.status)] += 1
                return response.status == 200
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.outcomes[type(error).__name__] += 1
            return False


class Fleet:
    """A PostgreSQL, a proxy in front of it that cuts COMMITs, three gateways and their providers."""

    def __init__(self, server: PostgresServer, cutter: CommitCutter, gateways: list[Process]) -> None:
        self.server = server
        self.cutter = cutter
        self.gateways = gateways
        self.providers = Providers(gateways, random.Random(SEED))

    async def restart_database(self) -> None:
        """End it as a crash does and start it again."""
        await asyncio.to_thread(self.server.kill)
        await asyncio.to_thread(self.server.start)

    async def restart(self, gateway: Process) -> None:
        """Kill a gateway and start it again."""
        gateway.signal(signal.SIGKILL)
        await gateway.wait()
        self.cutter.share = 0  # a gateway that cannot reach its database does not start
        await gateway.start()
        self.cutter.share = CUT


@asynccontextmanager
async def fleet(
    folder: Path, event_api: LocalEventApi, server: PostgresServer, url: Callable[[int], str]
) -> AsyncIterator[Fleet]:
    """Give a fleet that runs, and end all of it."""
    async with AsyncExitStack() as stack:
        cutter = CommitCutter(server.port, seed=SEED)
        await cutter.start()
        stack.push_async_callback(cutter.stop)
        gateways = []
        for number in range(3):
            place = folder / str(number)
            place.mkdir()
            text = TOML.format(url=event_api.url).replace("timeout_seconds = 5", "timeout_seconds = 1")
            text = re.sub(r"\[sources\.[a-z]+\]\n", r"\g<0>transform_timeout_seconds = 1\n", text)
            (place / "gateway.toml").write_text(f'{text}[inbox]\nurl = "{url(cutter.port)}"\n')
            gateways.append(Process(place / "gateway.toml", "tests.hasty_gateway"))
        for gateway in gateways:
            stack.push_async_callback(gateway.stop)
        await asyncio.gather(*(gateway.start() for gateway in gateways))
        cutter.share = CUT
        yield Fleet(server, cutter, gateways)


async def fire(one: Fleet, event_api: LocalEventApi, seconds: float) -> None:
    """Kill a gateway, stop another for longer than its lease, and crash the database meanwhile."""
    killed, stopped, _ = one.gateways
    await asyncio.sleep(seconds)
    await one.restart(killed)
    await asyncio.sleep(seconds)
    event_api.behave = lambda *_: Hang()
    await asyncio.sleep(0.5)  # so that it has requests on their way
    stopped.signal(signal.SIGSTOP)
    event_api.behave = None
    await asyncio.sleep(1)
    await one.restart_database()
    await asyncio.sleep(LEASE_SECONDS + 2)
    stopped.signal(signal.SIGCONT)
    await asyncio.sleep(seconds)


class Witness:
    """Remembers the bytes of every event that was accepted, of however many, by its id."""

    def __init__(self, event_api: LocalEventApi) -> None:
        self.seen: dict[str, set[bytes]] = {}
        event_api.observe = lambda event, _: self.seen.setdefault(event.id, set()).add(event.raw)


async def judge(one: Fleet, event_api: LocalEventApi, witness: Witness) -> None:
    """Wait until everything acknowledged was accepted, and compare the two witnesses."""
    acknowledged = one.providers.acknowledged
    expected = {f"acme:{name}:made" for name in acknowledged}
    await event_api.until(lambda: expected <= witness.seen.keys(), within=30)
    assert witness.seen.keys() == expected  # one id a delivery, and nothing that was never sent
    for bodies in witness.seen.values():
        [body] = bodies
        data = json.loads(body)["data"]
        assert data["padding"] == acknowledged[data["id"]]


@pytest.mark.parametrize(
    ("seconds", "rate"),
    [(0.5, 40.0), pytest.param(60.0, 100.0, marks=[pytest.mark.long, pytest.mark.timeout(600)])],
)
async def test_a_fleet_under_fire_loses_nothing(
    tmp_path: Path, event_api: LocalEventApi, seconds: float, rate: float
) -> None:
    """Whoever is killed, stopped or cut off, what was acknowledged is forwarded, and a zombie settles nothing."""
    server, witness = PostgresServer(), Witness(event_api)
    try:
        server.create()
        server.start()
        url = server.dsn
        async with fleet(
            tmp_path, event_api, server, lambda port: url.replace(str(urlsplit(url).port), str(port))
        ) as one:
            traffic = asyncio.create_task(one.providers.run(rate))
            await fire(one, event_api, seconds)
            await one.gateways[1].line("lease_lost")
            one.providers.stop()
            await traffic
            await judge(one, event_api, witness)
        inbox = await PostgresInbox.open(server.dsn, dedupe_window_ms=1, serving=False)
        counts = (await inbox.counts()).by_source["acme"]
        await inbox.close()
    finally:
        server.remove()
    assert len(one.providers.acknowledged) > seconds * 2 * rate, f"GATEWAY_TEST_SEED={SEED}"
    assert one.cutter.unsent
    assert one.cutter.unanswered
    assert counts.keys() <= {State.FORWARDED, State.LEASED, State.PENDING}
