"""Replay on the admin listener: counting, steps, and who is refused."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from gateway.admin import address, api
from gateway.admin.access import Access
from gateway.admin.replay import Replays
from gateway.inbox.sqlite import SqliteInbox
from gateway.listener import Listener
from gateway.model import State
from gateway.telemetry.logs import Log
from tests.dead_letters import make_dead, mend, start_broken, states
from tests.inbox.samples import keep, settle_all
from tests.manual_clock import ManualClock
from tests.world import World, running_world

DEAD = {"state": "dead"}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Give a world with a gateway that has three dead letters."""
    async with running_world(tmp_path) as made:
        await start_broken(made)
        await make_dead(made, "stripe", "evt_1", "evt_2")
        await make_dead(made, "acme", "evt_3")
        yield made


async def ask(world: World, method: str, path: str = "", body: Any = None, **headers: str) -> tuple[int, Any]:
    """Ask the admin listener; a body that is not bytes is sent as JSON."""
    url = f"http://127.0.0.1:{world.gateway.admin_port}/v1/replay{path}"
    data = body if body is None or isinstance(body, bytes) else json.dumps(body)
    given = {} if body is None else {"Content-Type": "application/json"}
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url, data=data, headers=given | headers) as response,
    ):
        return response.status, json.loads(await response.text())


async def step(world: World, limit: int = 10, mode: str = "resend", **query: Any) -> Any:
    """Take one step; return the answer."""
    status, answer = await ask(world, "POST", body={"query": DEAD | query, "mode": mode, "limit": limit})
    assert status == 200, answer
    return answer


async def test_counting_changes_nothing(world: World) -> None:
    """A count tells how many of each source would run, by the same filters, and leaves them as they are."""
    assert await ask(world, "GET", "?state=dead") == (200, {"count": 3, "by_source": {"acme": 1, "stripe": 2}})
    assert await ask(world, "GET", "?state=dead&id=evt_2") == (200, {"count": 1, "by_source": {"stripe": 1}})
    assert await ask(world, "GET", "?state=dead&reason=plan&until=1") == (200, {"count": 0, "by_source": {}})
    assert await ask(world, "GET", "?state=skipped") == (200, {"count": 0, "by_source": {}})
    assert set((await states(world)).values()) == {State.DEAD}


async def test_steps_go_on_by_key_and_wake_the_forwarder(world: World) -> None:
    """Each step takes at most its limit and says where the next goes on; its entries are forwarded at once."""
    mend(world)
    with capture_logs() as lines:
        first = await step(world, limit=2)
        second = await step(world, limit=2, after=first["last_key"])
        last = await step(world, limit=2, after=second["last_key"])
    assert (first["count"], second["count"]) == (2, 1)
    assert last == {"count": 0, "last_key": second["last_key"]}
    arrived = await world.arrived(3)
    assert {event.id for event in arrived} == {
        "stripe:evt_1:invoice.paid", "stripe:evt_2:invoice.paid", "acme:evt_3:invoice.paid",
    }  # fmt: skip
    said = [line for line in lines if line["event"] == "replayed"]
    assert [(line["mode"], line["count"]) for line in said] == [("resend", 2), ("resend", 1)]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({"id": "evt_2"}, {"evt_2"}),
        ({"source": "acme"}, {"evt_3"}),
        ({"type": "invoice.paid", "source": "stripe"}, {"evt_1", "evt_2"}),
        ({"type": "customer.created"}, set()),
        ({"reason": "KeyError"}, {"evt_1", "evt_2", "evt_3"}),
        ({"reason": "TypeError"}, set()),
        ({"since": 1}, {"evt_1", "evt_2", "evt_3"}),
        ({"until": 1}, set()),
    ],
)
async def test_a_step_takes_what_its_query_means(world: World, query: dict[str, Any], ids: set[str]) -> None:
    """Each filter of the query narrows what is run again."""
    mend(world)
    assert (await step(world, **query))["count"] == len(ids)
    await world.settled(len(ids), State.FORWARDED)
    assert {name for name, state in (await states(world)).items() if state is State.FORWARDED} == ids


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "query"),
        ({"query": DEAD, "mode": "resend"}, "limit"),
        ({"query": DEAD, "limit": 1}, "mode"),
        ({"query": DEAD, "mode": "again", "limit": 1}, "mode"),
        ({"query": DEAD, "mode": ["resend"], "limit": 1}, "mode"),
        ({"query": DEAD, "mode": "resend", "limit": 0}, "limit"),
        ({"query": DEAD, "mode": "resend", "limit": 501}, "limit"),
        ({"query": DEAD, "mode": "resend", "limit": True}, "limit"),
        ({"query": DEAD, "mode": "resend", "limit": 1, "force": 1}, "'force'"),
        ({"query": {}, "mode": "resend", "limit": 1}, "state"),
        ({"query": {"state": "pending"}, "mode": "resend", "limit": 1}, "state"),
        ({"query": {"state": {}}, "mode": "resend", "limit": 1}, "state"),
        ({"query": DEAD | {"sources": "acme"}, "mode": "resend", "limit": 1}, "'sources'"),
        ({"query": DEAD | {"source": ""}, "mode": "resend", "limit": 1}, "source"),
        ({"query": DEAD | {"id": 7}, "mode": "resend", "limit": 1}, "id"),
        ({"query": DEAD | {"id": "a\0b"}, "mode": "resend", "limit": 1}, "id"),
        ({"query": DEAD | {"id": "\ud800"}, "mode": "resend", "limit": 1}, ""),
        ({"query": DEAD | {"after": "1"}, "mode": "resend", "limit": 1}, "after"),
        ({"query": DEAD | {"after": -1}, "mode": "resend", "limit": 1}, "after"),
        ({"query": DEAD | {"since": 2**63}, "mode": "resend", "limit": 1}, "since"),
        ({"query": DEAD | {"until": 1.5}, "mode": "resend", "limit": 1}, "until"),
        ([], "object"),
        (b"{", "JSON"),
        (b"\xff", "JSON"),
        (b"[" * 9_000, "JSON"),
    ],
)
async def test_a_step_that_is_not_one(world: World, body: Any, named: str) -> None:
    """A faulty step is refused with a sentence that names the key at fault, and nothing runs."""
    status, answer = await ask(world, "POST", body=body)
    assert (status, answer["error"]) == (400, "request_invalid")
    assert named in answer["detail"]
    assert set((await states(world)).values()) == {State.DEAD}


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ("", "state"),
        ("?state=leased", "state"),
        ("?state=dead&state=dead", "twice"),
        ("?state=dead&limit=1", "'limit'"),
        ("?state=dead&since=yesterday", "since"),
        ("?state=dead&after=-1", "after"),
        ("?state=dead&after=99999999999999999999", "after"),
        (f"?state=dead&after={'9' * 5_000}", "after"),
        ("?state=dead&after=%C2%B2", "after"),
    ],
)
async def test_a_count_that_is_none(world: World, parameters: str, named: str) -> None:
    """Faulty parameters are refused with a sentence that names the one at fault."""
    status, answer = await ask(world, "GET", parameters)
    assert (status, answer["error"]) == (400, "request_invalid")
    assert named in answer["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://example.com"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-origin"},
        {"Host": "rebound.example.com"},
        {"Host": "127.0.0.1.example.com:8081"},
        {"Host": "[::1"},
    ],
)
async def test_browsers_are_refused(world: World, headers: dict[str, str]) -> None:
    """What a page in a browser of this machine could send is refused, whatever name it reached the listener by."""
    status, answer = await ask(world, "POST", body={"query": DEAD, "mode": "resend", "limit": 9}, **headers)
    assert (status, answer["error"]) == (403, "caller_refused")
    status, _ = await ask(world, "GET", "?state=dead", **headers)
    assert status == 403
    assert set((await states(world)).values()) == {State.DEAD}


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
async def test_a_body_that_is_not_declared_as_json(world: World, kind: str) -> None:
    """A form that a page could post without asking first is refused."""
    body = {"query": DEAD, "mode": "resend", "limit": 9}
    status, answer = await ask(world, "POST", body=body, **{"Content-Type": kind})
    assert (status, answer["error"]) == (400, "request_invalid")
    assert set((await states(world)).values()) == {State.DEAD}


async def test_a_large_body_is_refused(world: World) -> None:
    """A body beyond 16 KiB is not read to its end."""
    status, answer = await ask(world, "POST", body=b" " * (api.BODY_LIMIT + 1))
    assert (status, answer["error"]) == (413, "request_entity_too_large")


async def test_other_methods_and_paths(world: World) -> None:
    """What /v1 does not have is answered in JSON too."""
    assert (await ask(world, "DELETE"))[0] == 405
    assert (await ask(world, "GET", "/more"))[1]["error"] == "not_found"


async def test_who_waits_is_told_of_what_became_pending(tmp_path: Path) -> None:
    """A step that made entries pending wakes the forwarder, and one that made none does not."""
    inbox = SqliteInbox.open(tmp_path / "inbox.db", dedupe_window_ms=1_000)
    await keep(inbox, "a", "b")
    await settle_all(inbox, State.DEAD)
    woken: list[int] = []
    replays = Replays(inbox, clock=ManualClock(), log=Log(), on_replayed=lambda: woken.append(1))
    listener = Listener(api.application(replays.routes(), access=Access("127.0.0.1"), log=Log()))
    await listener.start("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{listener.port}") as session:
            for after, expected in [(0, 1), (1, 2), (2, 2)]:
                body = {"query": DEAD | {"after": after}, "mode": "resend", "limit": 1}
                async with session.post("/replay", json=body) as response:
                    assert (response.status, len(woken)) == (200, expected)
    finally:
        await listener.stop(1)
        await inbox.close()


async def test_an_inbox_that_cannot_serve(world: World) -> None:
    """While the inbox cannot serve, a step and a count are answered with 503 and its sentence."""
    await world.gateway.inbox.close()
    status, answer = await ask(world, "POST", body={"query": DEAD, "mode": "resend", "limit": 9})
    assert (status, answer["error"]) == (503, "inbox_unavailable")
    assert (await ask(world, "GET", "?state=dead"))[0] == 503


async def test_where_the_admin_listener_is(tmp_path: Path) -> None:
    """While a gateway serves, a file beside its inbox says where its admin listener is; a stale one is corrected."""
    address.write(tmp_path / "inbox.db", address.Address("http://127.0.0.1:9", "gone"))
    async with running_world(tmp_path) as world:
        await world.start()
        told = address.read(tmp_path / "inbox.db")
        assert told is not None
        assert told.url == f"http://127.0.0.1:{world.gateway.admin_port}"
        await world.stop()
        assert address.read(tmp_path / "inbox.db") is None


async def test_an_address_that_cannot_be_written(tmp_path: Path) -> None:
    """Where the file cannot be written the gateway serves all the same, and leaves no address of an earlier one."""
    address.write(tmp_path / "inbox.db", address.Address("http://127.0.0.1:9", "gone"))
    (tmp_path / "inbox.db.admin.new").mkdir()
    async with running_world(tmp_path) as world:
        await world.start()
        assert world.gateway.admin_port
        assert address.read(tmp_path / "inbox.db") is None
