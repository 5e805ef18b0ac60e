"""The gateway as a process: outages, kill -9, signals, a wrong key. The oracle is the local event API."""

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from gateway.dev.event_api import LocalEventApi
from gateway.dev.faults import Hang
from tests.process import Process
from tests.signed import dumps, signed_headers
from tests.world import EVENT_KEY, TOML

OUTAGE_SECONDS = float(os.environ.get("GATEWAY_TEST_OUTAGE_SECONDS", "2"))
RATE = int(os.environ.get("GATEWAY_TEST_RATE", "50"))


@pytest.fixture
async def gateway(tmp_path: Path, event_api: LocalEventApi) -> AsyncIterator[Process]:
    """Give a gateway process that the test starts."""
    config = tmp_path / "gateway.toml"
    config.write_text(TOML.format(url=event_api.url))
    process = Process(config)
    yield process
    if process.port:
        await process.stop()


class Traffic:
    """Sends signed deliveries at a fixed rate, whether or not earlier ones were answered, as providers do."""

    def __init__(self, gateway: Process) -> None:
        self.acknowledged: list[str] = []
        self.unanswered: list[str] = []
        self.broken: list[str] = []
        self.slowest = 0.0
        self.statuses: Counter[int] = Counter()
        self._gateway = gateway
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float) -> None:
        """Send for so long, then wait for the answers."""
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=5)) as session:
            begun = time.monotonic()
            count = 0
            while (elapsed := time.monotonic() - begun) < seconds:
                while count < elapsed * RATE:
                    self._tasks.add(asyncio.create_task(self._send(session, f"{random.getrandbits(64):016x}")))
                    count += 1
                await asyncio.sleep(0.01)
            await asyncio.gather(*self._tasks)

    async def _send(self, session: aiohttp.ClientSession, name: str) -> None:
        body = dumps({"id": f"evt_{name}", "type": "invoice.paid", "created": 1_699_999_999, "filler": "x" * 2_000})
        headers = signed_headers("stripe", body, at=int(time.time() * 1000))
        begun = time.monotonic()
        url = f"http://127.0.0.1:{self._gateway.port}/webhooks/stripe"
        try:
            async with session.post(url, data=body, headers=list(headers)) as response:
                self.statuses[response.status] += 1
                answered = response.status == 200
        except aiohttp.ClientConnectorError:
            answered = False
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            answered = False
            self.broken.append(f"{type(error).__name__}: {error}")
        if answered:
            self.acknowledged.append(f"stripe:evt_{name}:invoice.paid")
            self.slowest = max(self.slowest, time.monotonic() - begun)
        else:
            self.unanswered.append(name)

    async def resend_unanswered(self) -> None:
        """Send again what was not acknowledged, as a provider does."""
        names, self.unanswered = self.unanswered, []
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*[self._send(session, name) for name in names])


async def everything_arrived(event_api: LocalEventApi, traffic: Traffic, within: float = 30.0) -> None:
    """Wait until every acknowledged delivery is an event, once per id for whoever dedupes by id."""
    expected = set(traffic.acknowledged)
    await event_api.until(lambda: expected <= {event.id for event in event_api.events}, within=within)
    assert Counter(event.id for event in event_api.runs()) == Counter(expected)
    assert len({event.raw for event in event_api.events}) == len({event.id for event in event_api.events})


async def test_outage_of_the_event_api(gateway: Process, event_api: LocalEventApi) -> None:
    """While the event API is away every webhook is acknowledged within a second; afterwards every event arrives."""
    await gateway.start()
    traffic = Traffic(gateway)
    sending = asyncio.create_task(traffic.run(OUTAGE_SECONDS + 1))
    await event_api.until(lambda: len(event_api.events) > 0)
    await event_api.stop()
    await asyncio.sleep(OUTAGE_SECONDS)
    await event_api.start()
    await sending
    assert set(traffic.statuses) == {200}
    assert traffic.slowest < 1.0
    await everything_arrived(event_api, traffic, within=60.0)
    assert len([line for line in gateway.lines if line["event"] == "forwarding_failing"]) == 1
    assert not [line for line in gateway.lines if line["event"] == "dead_letter"]


async def test_kill_minus_nine_in_an_outage(gateway: Process, event_api: LocalEventApi) -> None:
    """Killed in the middle, with the event API away, the gateway loses nothing that it acknowledged."""
    await gateway.start()
    traffic = Traffic(gateway)
    sending = asyncio.create_task(traffic.run(2))
    await event_api.until(lambda: len(event_api.events) > 0)
    await event_api.stop()
    await asyncio.sleep(random.uniform(0.2, 1.0))
    gateway.signal(signal.SIGKILL)
    assert await gateway.wait() == -signal.SIGKILL
    await sending
    await event_api.start()
    await gateway.start()
    assert traffic.acknowledged
    await traffic.resend_unanswered()
    assert not traffic.unanswered
    await everything_arrived(event_api, traffic)


async def test_kill_minus_nine_while_forwarding(gateway: Process, event_api: LocalEventApi) -> None:
    """Killed again and again at random moments under load, the gateway loses nothing and invents no second id."""
    traffic = Traffic(gateway)
    for _ in range(3):
        await gateway.start()
        sending = asyncio.create_task(traffic.run(1))
        await asyncio.sleep(random.uniform(0.3, 0.9))
        gateway.signal(signal.SIGKILL)
        await gateway.wait()
        await sending
    await gateway.start()
    await traffic.resend_unanswered()
    assert not traffic.unanswered
    await everything_arrived(event_api, traffic)


async def test_wrong_key_pauses_and_its_correction_drains(tmp_path: Path, event_api: LocalEventApi) -> None:
    """A wrong event key loses nothing and is said once; SIGHUP with the right one drains the backlog.

    Neither key appears in anything that the gateway writes.
    """
    key = tmp_path / "key"
    key.write_text("canary-wrong-key\n")
    config = tmp_path / "gateway.toml"
    config.write_text(TOML.format(url=event_api.url).replace('"${INNGEST_EVENT_KEY}"', f'"file:{key}"'))
    gateway = Process(config)
    await gateway.start()
    try:
        traffic = Traffic(gateway)
        await traffic.run(0.5)
        await gateway.line("forwarding_paused")
        assert event_api.events == []
        key.write_text(f"{EVENT_KEY}\n")
        gateway.signal(signal.SIGHUP)
        await gateway.line("configuration_reloaded")
        await everything_arrived(event_api, traffic)
        await gateway.line("forwarding_recovered")
    finally:
        assert await gateway.stop() == 0
    assert len([line for line in gateway.lines if line["event"] == "forwarding_paused"]) == 1
    assert not [line for line in gateway.lines if line["event"] == "dead_letter"]
    assert "canary" not in "".join(gateway.raw)


async def test_reload_of_a_faulty_file_changes_nothing(gateway: Process, event_api: LocalEventApi) -> None:
    """A faulty file is refused with its faults in the log, and the old configuration serves on."""
    await gateway.start()
    gateway._config.write_text("[sources.stripe]\nprovider = 'strip'\n")
    gateway.signal(signal.SIGHUP)
    refused = await gateway.line("configuration_refused")
    assert any("sources.stripe.provider" in fault for fault in refused["faults"])
    traffic = Traffic(gateway)
    await traffic.run(0.2)
    await everything_arrived(event_api, traffic)


async def test_sigterm_drains(gateway: Process, event_api: LocalEventApi) -> None:
    """After SIGTERM under load a provider sees 2xx or a refused connection, nothing else; the exit code is 0."""
    await gateway.start()
    traffic = Traffic(gateway)
    sending = asyncio.create_task(traffic.run(2.5))
    await event_api.until(lambda: len(event_api.events) > 10)
    gateway.signal(signal.SIGTERM)
    assert await gateway.wait() == 0
    await sending
    assert set(traffic.statuses) == {200}
    assert traffic.broken == []
    assert [line["event"] for line in gateway.lines][-1] == "stopped"
    await gateway.start()
    await everything_arrived(event_api, traffic)


async def test_second_process_on_the_same_inbox(gateway: Process) -> None:
    """A second process on the same file is refused with code 2 and a sentence that names the first one's pid."""
    await gateway.start()
    second = Process(gateway._config)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(second.start(), 3)
    assert await second.wait() == 2
    assert str(gateway._child.pid) in "".join(second.raw)
    assert "Traceback" not in "".join(second.raw)


async def test_second_signal_ends_at_once(gateway: Process, event_api: LocalEventApi) -> None:
    """A second SIGTERM ends the process with code 1 though an attempt hangs; the next one forwards what was kept."""
    await gateway.start()
    event_api.answer_next(Hang())
    traffic = Traffic(gateway)
    await traffic.run(0.2)
    await event_api.until(lambda: len(event_api.requests) >= 1)
    gateway.signal(signal.SIGTERM)
    await gateway.line("draining")
    gateway.signal(signal.SIGTERM)
    assert await gateway.wait() == 1
    assert [line["event"] for line in gateway.lines][-1] == "cut_short"
    await gateway.start()
    await everything_arrived(event_api, traffic)


async def test_readiness_while_draining(gateway: Process, event_api: LocalEventApi) -> None:
    """After SIGTERM requests are still taken for a while, /readyz says 503 and answers end their connections."""
    await gateway.start()
    started = await gateway.line("started")
    gateway.signal(signal.SIGTERM)
    await gateway.line("draining")
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{started['admin']}/readyz") as ready:
            assert (ready.status, (await ready.json())["faults"]) == (503, ["draining"])
        body = dumps({"id": "evt_late", "type": "invoice.paid"})
        headers = list(signed_headers("stripe", body, at=int(time.time() * 1000)))
        async with session.post(started["urls"][0], data=body, headers=headers) as response:
            assert (response.status, response.headers["Connection"]) == (200, "close")
    assert await gateway.wait() == 0
