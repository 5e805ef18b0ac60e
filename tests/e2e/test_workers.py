"""Several workers as one gateway: what they share, and what becomes of the whole when one of them, or all, die."""

import asyncio
import hashlib
import hmac
import json
import os
import random
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from yarl import URL

from gateway import admin_token
from gateway.dev.event_api import LocalEventApi
from tests.learning import FIRST, SOURCE
from tests.several import COUNT, Several, Witness, write
from tests.world import ENVIRON, EVENT_KEY, TOML

SEED = int(os.environ.get("GATEWAY_TEST_SEED", "") or random.getrandbits(32))


@pytest.fixture
async def several(tmp_path: Path, event_api: LocalEventApi) -> AsyncIterator[Several]:
    """Give two workers that serve."""
    made = Several(write(tmp_path, event_api, more=SOURCE))
    await made.start()
    yield made
    await made.stop()


async def until(ask: Callable[[], Awaitable[Any]], within: float = 20.0) -> Any:
    """Ask until the answer is true; return it."""
    async with asyncio.timeout(within):
        while not (told := await ask()):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    return told


async def test_one_listener_tells_of_all(several: Several, event_api: LocalEventApi, tmp_path: Path) -> None:
    """Health, metrics, the API and what happens are those of both workers, whichever is asked."""
    await metrics_and_api(several, Witness(event_api))
    await what_happens(several, tmp_path)
    await a_learned_secret(several)
    await the_worst_lane(several, event_api)
    await a_worker_that_hangs(several)


async def metrics_and_api(several: Several, witness: Witness) -> None:
    """Counters are each worker's own, what lies in the inbox is told once, and any worker finds any delivery."""
    for path in ("/livez", "/startupz", "/readyz"):
        assert await several.get(path) == {"status": "ok", "faults": []}
    async with several.connected() as sessions:
        for session in sessions.values():
            assert await several.post(session) == 200
    await witness.has_all(several)
    total = len(several.posted)
    told = await several.scrape()
    each = [told.value("gateway_requests_total", worker=str(number)) for number in (1, 2)]
    assert all(each)
    assert sum(each) == total
    assert told.value("gateway_request_duration_seconds_count", source="acme") == total
    assert len(told.of("gateway_inbox_entries", source="acme", state="dead")) == 1
    assert len(told.of("gateway_lane_state", state="healthy")) == COUNT
    assert len(told.of("process_start_time_seconds", worker="supervisor")) == 1
    for _ in range(COUNT):  # each time another worker answers
        [life] = (await several.get(f"/v1/deliveries/{several.posted[0]}"))["deliveries"]
        assert life["delivery_id"] == several.posted[0]
    query = {"id": several.posted[0], "state": "forwarded"}
    again = {"query": query, "mode": "rerun", "limit": 1}
    assert await several.get(f"/v1/replay?state=forwarded&id={several.posted[0]}") == {
        "count": 1,
        "by_source": {"acme": 1},
    }
    status, step = await several.ask("POST", "/v1/replay", again)
    assert (status, step["count"]) == (200, 1)
    assert (await several.ask("POST", "/v1/replay", {"mode": "x" * 20_000}))[0] == 413
    assert await several.get("/v1/nothing") == {"error": "not_found", "detail": "GET /v1/nothing"}


async def what_happens(several: Several, tmp_path: Path) -> None:
    """Who follows sees both workers; what one refused another knows of, and a success on any ends the clock."""
    url = f"{several.admin}/v1/tail?outcome=rejected&outcome=accepted"
    async with several.connected() as sessions, aiohttp.ClientSession() as session, session.get(url) as following:
        assert await following.content.readline() == b"\n"
        for number in (1, 2):
            assert await several.tampered(sessions[number]) == 401
        seen = [await _happening(following) for _ in range(2)]
        assert [one["reason"] for one in seen] == ["signature_mismatch"] * 2
        await until(lambda: _all_know(several, 2))
        assert await several.post(sessions[1]) == 200
        assert (await _happening(following))["outcome"] == "accepted"
        await until(lambda: _all_know(several, 0))
    url = f"{several.admin}/v1/tail?type=a%2Bb%26c"
    async with aiohttp.ClientSession() as session, session.get(URL(url, encoded=True)) as following:
        assert await following.content.readline() == b"\n"
        for kind in ("made", "a+b&c"):
            await several.post_of_type(kind)
        assert (await _happening(following))["type"] == "a+b&c"
    assert (await several.ask("GET", "/v1/tail?outcome=lost"))[0] == 400
    await until(lambda: _rejections(several))
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "doctor", "acme", "--json", "--config", str(tmp_path / "gateway.toml"),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    [cause] = json.loads((await child.communicate())[0])
    assert (cause["counted"], cause["samples"]) == (2, 2)


async def _happening(following: aiohttp.ClientResponse) -> dict[str, Any]:
    while not (line := await following.content.readline()).strip():
        pass
    told: dict[str, Any] = json.loads(line)
    return told


async def _acme(several: Several) -> dict[str, Any]:
    sources: list[dict[str, Any]] = (await several.get("/v1/sources"))["sources"]
    return next(source for source in sources if source["source"] == "acme")


async def _all_know(several: Several, refused: int) -> bool:
    """Tell whether each worker, asked in turn, says that so many were refused since the last success."""
    records = [(await _acme(several))["refusing"] for _ in range(COUNT)]
    return all((record["count"] if record else 0) == refused for record in records)


async def _rejections(several: Several) -> bool:
    return [one["count"] for one in (await _acme(several))["rejections"]] == [2]


async def test_without_their_supervisor_workers_drain(several: Several) -> None:
    """When the supervisor is killed its workers finish what they have and end, so that none is left behind."""
    several.signal(signal.SIGKILL)
    assert await several.wait() == -signal.SIGKILL
    drained = [line for line in several.lines if line.get("event") == "draining"]
    assert {(line["worker"], line["signal"]) for line in drained} == {(1, "supervisor_lost"), (2, "supervisor_lost")}
    assert len([line for line in several.lines if line.get("event") == "stopped"]) == COUNT


async def test_a_second_signal_ends_all_at_once(tmp_path: Path, event_api: LocalEventApi) -> None:
    """While workers drain for long, another signal ends them and the supervisor, with code 1.

    Until then the API is for whoever has the token, as with one process.
    """
    config = write(tmp_path, event_api)
    token = admin_token.make()
    text = config.read_text().replace("drain_seconds = 0.2", "drain_seconds = 300")
    config.write_text(
        text.replace("[admin]\n", f'[admin]\nhost = "0.0.0.0"\ntoken_hash = "{admin_token.digest(token)}"\n')
    )
    several = Several(config)
    await several.start()
    assert [(await several.ask("GET", "/v1/counts", token=shown))[0] for shown in (token, "", "x")] == [200, 401, 401]
    several.signal(signal.SIGTERM)
    await several.line("draining", count=COUNT + 1)
    assert await several.get("/readyz") == {"status": "unavailable", "faults": ["draining"]}
    several.signal(signal.SIGINT)
    assert await several.wait() == 1


async def test_a_worker_that_cannot_come_back(several: Several, tmp_path: Path) -> None:
    """While the configuration is at fault the other serves on; the reason is told, and mended it comes back."""
    config = tmp_path / "gateway.toml"
    whole = config.read_text()
    config.write_text(whole.replace('provider = "stripe"', 'provider = "nobody"'))
    several.signal(signal.SIGHUP)
    assert "worker" not in await several.line("configuration_refused")  # said once, by the supervisor
    several.kill(several.pids[1])
    assert "sources.stripe" in (await several.line("worker_ended", count=2, within=30))["reason"]
    assert await several.get("/readyz") == {"status": "ok", "faults": []}
    async with aiohttp.ClientSession() as session:
        assert await several.post(session) == 200
    config.write_text(whole)
    await several.line("worker_started", count=COUNT + 1, within=30)
    pauses = [line["again_in_seconds"] for line in several.lines if line.get("event") == "worker_ended"]
    assert pauses[:2] == [0, 1]


async def failed(config: Path, *options: str) -> tuple[int | None, str]:
    """Start what cannot serve; return exit code and standard error."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "serve", "--config", str(config), *options,
        env={**os.environ, **ENVIRON}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, told = await child.communicate()
    return child.returncode, told.decode()


async def test_sqlite_has_one_process(tmp_path: Path, event_api: LocalEventApi) -> None:
    """With an inbox in SQLite several workers are refused, with what to do."""
    config = tmp_path / "gateway.toml"
    config.write_text(TOML.format(url=event_api.url))
    code, told = await failed(config, "--workers", "2")
    assert code == 2
    assert "SQLite's file belongs to one process" in told
    assert len(told.splitlines()) == 1


async def test_what_keeps_workers_from_starting_is_said_once(tmp_path: Path, event_api: LocalEventApi) -> None:
    """A fault that every worker finds is told once, as by a gateway of one process, and so is an address in use."""
    config = write(tmp_path, event_api, more="migrate = false\n")
    code, told = await failed(config, "--workers", "2")
    assert code == 2
    assert told.count("gateway migrate") == 1
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = write(tmp_path, event_api)
        config.write_text(config.read_text().replace("port = 0", f"port = {port}", 1))
        code, told = await failed(config, "--workers", "2")
    assert code == 2
    assert told.count(f"cannot listen on 127.0.0.1:{port}: Address already in use") == 1


async def a_learned_secret(several: Several) -> None:
    """See that the secret which a handshake gave to one worker verifies what another one takes."""
    url = f"http://127.0.0.1:{several.port}/webhooks/asana"
    body = b'{"id": "d-1"}'
    signature = hmac.new(FIRST.encode(), body, hashlib.sha256).hexdigest()
    async with several.connected() as sessions:
        async with sessions[1].post(url, data=b"{}", headers={"X-Hook-Secret": FIRST}) as answer:
            assert answer.status == 200

        async def taken() -> bool:
            async with sessions[2].post(url, data=body, headers={"X-Hook-Signature": signature}) as answer:
                return answer.status == 200

        await until(taken)


async def the_worst_lane(several: Several, event_api: LocalEventApi) -> None:
    """Where one worker has found out that the key is refused, it is told, whichever worker is asked."""
    async with several.connected() as sessions:
        event_api.keys = {"another"}
        assert await several.post(sessions[2]) == 200

        async def paused() -> bool:
            return bool((await several.get("/v1/stats"))["forwarding"]["state"] == "paused")

        await until(paused)
        for path in ("/v1/stats", f"/v1/deliveries/{several.posted[-1]}"):
            for _ in range(COUNT):
                assert (await several.get(path))["forwarding"]["state"] == "paused"
    event_api.keys = {EVENT_KEY}


async def a_worker_that_hangs(several: Several) -> None:
    """While a worker answers nothing the whole is neither alive nor ready, and it says which it is."""
    os.kill(several.pids[2], signal.SIGSTOP)
    healths = await asyncio.gather(*map(several.get, ("/livez", "/readyz")))
    os.kill(several.pids[2], signal.SIGCONT)
    assert [health["faults"] for health in healths] == [["worker 2: no answer"]] * 2


@asynccontextmanager
async def traffic(several: Several, providers: int) -> AsyncIterator[None]:
    """Have providers send one after the other, each on a connection of its own."""
    stopping = asyncio.Event()

    async def provider() -> None:
        while not stopping.is_set():
            try:
                async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
                    await several.post(session)
            except (aiohttp.ClientError, OSError, TimeoutError):
                await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(provider()) for _ in range(providers)]
    try:
        yield
    finally:
        stopping.set()
        await asyncio.gather(*tasks)


async def test_a_killed_worker_is_replaced(several: Several, event_api: LocalEventApi) -> None:
    """The other goes on, the next one takes its place, and what was acknowledged is forwarded; reload and drain."""
    before, witness = several.pids, Witness(event_api)
    async with traffic(several, 1):
        several.kill(before[1])
        assert (await several.line("worker_ended"))["reason"] == "SIGKILL"
        await several.line("worker_started", count=COUNT + 1, within=30)
    assert several.pids[2] == before[2]
    assert several.pids[1] != before[1]
    async with several.connected():
        pass
    await witness.has_all(several)
    await _a_worker_that_is_told_to_end(several)
    assert (await several.scrape()).value("gateway_worker_restarts_total", worker="1") == 2
    several.signal(signal.SIGHUP)
    await several.line("configuration_reloaded", count=COUNT)
    assert {line["worker"] for line in several.lines if line.get("event") == "configuration_reloaded"} == {1, 2}
    several.signal(signal.SIGTERM)
    assert await several.wait() == 0  # which waits for the end of everyone who holds its standard error
    assert len([line for line in several.lines if line.get("event") == "stopped"]) == COUNT + 2


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_workers_that_are_killed_again_and_again(tmp_path: Path, event_api: LocalEventApi) -> None:
    """Under load, with a worker killed or told to end every few seconds, nothing that was acknowledged is lost."""
    several, witness = Several(write(tmp_path, event_api), "tests.hasty_gateway"), Witness(event_api)
    await several.start()
    rng = random.Random(SEED)
    async with traffic(several, 8):
        for number in range(8):
            worker = rng.randint(1, COUNT)
            rng.choice([several.kill, several.terminate])(several.pids[worker])
            await several.line("worker_started", count=COUNT + number + 1, within=60)
            await asyncio.sleep(rng.uniform(0, 1))
    await witness.has_all(several, within=90)
    several.signal(signal.SIGTERM)
    assert await several.wait() == 0, f"GATEWAY_TEST_SEED={SEED}"
    assert len(several.posted) >= 1_000


async def _a_worker_that_is_told_to_end(several: Several) -> None:
    """Tell one to end: it drains and is replaced."""
    several.terminate(several.pids[1])
    await several.line("worker_started", count=COUNT + 2, within=30)
    ended = [line for line in several.lines if line.get("event") == "worker_ended"]
    assert [(line["worker"], line["reason"]) for line in ended] == [(1, "SIGKILL"), (1, "exit code 0")]
