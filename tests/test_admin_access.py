"""Who may ask the admin listener for what: on a loopback address, on any other, with and without a token."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway import admin, admin_token
from gateway.admin import api
from gateway.admin.access import Access
from gateway.inbox.sqlite import SqliteInbox
from gateway.listener import Listener
from gateway.telemetry.logs import Log
from tests.world import World, running_world

TOKEN = admin_token.PREFIX + "of-the-tests"  # not a new one, which would name the tests otherwise in each process
HASH = admin_token.digest(TOKEN)
BEARER = {"Authorization": f"Bearer {TOKEN}"}
EVERYWHERE = "0.0.0.0"  # noqa: S104 - what an operator may write
HEALTH = ("/livez", "/readyz", "/startupz")


@asynccontextmanager
async def listening(access: Access) -> AsyncIterator[str]:
    """Serve one route under a rule, as if the listener were bound to the rule's host; give its URL."""

    async def hello(_: web.Request) -> web.Response:
        return api.answer({"hello": "operator"})

    listener = Listener(api.application([web.get("/hello", hello)], access=access, log=Log()))
    await listener.start("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{listener.port}/hello"
    finally:
        await listener.stop(1)


async def get(url: str, **headers: str) -> tuple[int, Any, str]:
    """Get a URL; return status, document and the challenge of the answer."""
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.json(), response.headers.get("WWW-Authenticate", "")


@pytest.mark.parametrize(
    ("bound", "kept", "headers", "expected"),
    [
        ("127.0.0.1", "", {}, 200),
        ("::1", "", {}, 200),
        ("localhost", "", {"Host": "[::1]:8081"}, 200),
        ("127.0.0.1", "", {"Host": "rebound.example.com"}, 403),
        ("127.0.0.1", "", {"Origin": "http://127.0.0.1:8081"}, 403),
        ("127.0.0.1", HASH, {}, 401),
        ("127.0.0.1", HASH, BEARER, 200),
        ("127.0.0.1", HASH, BEARER | {"Host": "rebound.example.com"}, 403),
        (EVERYWHERE, "", {}, 403),
        (EVERYWHERE, "", BEARER, 403),
        ("192.0.2.1", HASH, {}, 401),
        ("192.0.2.1", HASH, BEARER, 200),
        ("192.0.2.1", HASH, {"Authorization": f"bearer  {TOKEN}"}, 200),
        ("gateway.example.com", HASH, BEARER | {"Host": "gateway.example.com"}, 200),
        ("192.0.2.1", HASH, BEARER | {"Sec-Fetch-Site": "same-origin"}, 403),
        ("192.0.2.1", HASH, {"Authorization": f"Basic {TOKEN}"}, 401),
        ("192.0.2.1", HASH, {"Authorization": f"Bearer {HASH}"}, 401),
        ("192.0.2.1", HASH, {"Authorization": f"Bearer {admin_token.make()}"}, 401),
        ("192.0.2.1", HASH, {"Authorization": "Bearer"}, 401),
        ("192.0.2.1", HASH, {"Authorization": "Bearer \udcff"}, 401),
    ],
)
async def test_who_is_let_in(bound: str, kept: str, headers: dict[str, str], expected: int) -> None:
    """A loopback listener serves programs of this machine, any other whoever shows the token; none serves browsers."""
    async with listening(Access(bound, kept)) as url:
        status, document, challenge = await get(url, **headers)
    assert status == expected
    assert (document == {"hello": "operator"}) == (expected == 200)
    assert challenge == ("Bearer" if expected == 401 else "")
    told = str(document)
    assert TOKEN not in told
    assert HASH not in told


async def test_a_refusal_says_what_to_do() -> None:
    """Who is refused learns how to be let in."""
    async with listening(Access(EVERYWHERE)) as url:
        _, document, _ = await get(url)
    assert document["error"] == "caller_refused"
    assert "gateway admin-token" in document["detail"]
    async with listening(Access(EVERYWHERE, HASH)) as url:
        _, document, _ = await get(url)
    assert document["error"] == "token_refused"
    assert "$GATEWAY_ADMIN_TOKEN" in document["detail"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Give a world whose gateway asks for a token on every address of this machine."""
    with capture_logs():
        async with running_world(tmp_path) as made:
            await start(made, HASH)
            yield made


async def start(world: World, kept: str) -> None:
    """Start the gateway with the digest of a token, its admin listener on all addresses."""
    path = world.write_config()
    path.write_text(path.read_text().replace("[admin]", f'[admin]\nhost = "{EVERYWHERE}"\ntoken_hash = "{kept}"'))
    await world.start_as_written()


async def test_health_is_told_to_everyone(world: World) -> None:
    """Probes answer without a token, under any name; everything else asks for it, what is not there too."""
    origin = f"http://127.0.0.1:{world.gateway.admin_port}"
    for path in HEALTH:
        assert await get(origin + path, Host="10.0.0.7:8081") == (200, {"status": "ok", "faults": []}, "")
    for path in ("/v1/replay?state=dead", "/v1/nothing"):
        assert (await get(origin + path))[0] == 401
    assert (await get(f"{origin}/v1/replay?state=dead", **BEARER))[:2] == (200, {"count": 0, "by_source": {}})
    assert (await get(f"{origin}/v1/nothing", **BEARER))[0] == 404


async def test_a_reload_changes_the_token(world: World) -> None:
    """After a reload the new token counts, and the old one does not."""
    other = admin_token.make()
    path = world.folder / "gateway.toml"
    path.write_text(path.read_text().replace(HASH, admin_token.digest(other)))
    await world.gateway.reload(world.read_config())
    url = f"http://127.0.0.1:{world.gateway.admin_port}/v1/replay?state=dead"
    assert (await get(url, **BEARER))[0] == 401
    assert (await get(url, Authorization=f"Bearer {other}"))[0] == 200


async def test_a_process_that_drains(world: World) -> None:
    """While it drains, the process has started and lives but is not ready."""
    world.gateway.receiver.draining = True
    origin = f"http://127.0.0.1:{world.gateway.admin_port}"
    told = {path: await get(origin + path) for path in HEALTH}
    assert told["/readyz"][:2] == (503, {"status": "unavailable", "faults": ["draining"]})
    assert told["/livez"][0] == told["/startupz"][0] == 200


def test_a_token_cannot_be_found_from_its_digest() -> None:
    """Two tokens differ, each is known by its digest, and no digest stands for a token."""
    assert len({admin_token.make() for _ in range(100)}) == 100
    assert admin_token.matches(HASH, TOKEN)
    assert not admin_token.matches(HASH, HASH)
    assert not admin_token.matches(HASH, "")
    assert admin_token.is_digest(HASH)
    assert not admin_token.is_digest(HASH + "\n")


async def test_a_process_that_starts(tmp_path: Path) -> None:
    """Until all is started a process lives, and is neither started nor ready; after that it is both."""
    inbox = SqliteInbox.open(tmp_path / "inbox.db", dedupe_window_ms=1_000)
    stage = ["starting"]
    guarded = partial(api.application, access=Access("127.0.0.1"), log=Log())
    listener = Listener(admin.application(inbox, lambda: stage[0], api=[], metrics=[], guarded=guarded))
    await listener.start("127.0.0.1", 0)
    try:
        for stage[0], expected in (("starting", [200, 503, 503]), ("", [200, 200, 200])):
            told = [await get(f"http://127.0.0.1:{listener.port}{path}") for path in ("/livez", "/startupz", "/readyz")]
            assert [status for status, _, _ in told] == expected
    finally:
        await listener.stop(1)
        await inbox.close()
