import json
from pathlib import Path

import pytest

from gateway.model import State
from tests.cli.conftest import Beside, Cli
from tests.signed import dumps
from tests.world import ENVIRON, TOML


async def three(beside: Beside) -> None:
    """Send a delivery to each of three sources and wait until they are forwarded."""
    for source in ("stripe", "slack", "github"):
        await beside.send(source)
    await beside.world.settled(3)


async def test_sources(beside: Beside) -> None:
    """Every source has its URL and the counts of what became of its deliveries."""
    await three(beside)
    await beside.send("stripe", "--repeat", "2")
    await beside.world.settled(4)
    rows = {row["source"]: row for row in (await beside("sources", "--json")).json}
    assert list(rows) == ["stripe", "slack", "github", "shopify", "standard", "acme"]
    assert (rows["stripe"]["forwarded"], rows["stripe"]["duplicates"], rows["acme"]["forwarded"]) == (2, 1, 0)
    assert rows["acme"]["url"].endswith("/webhooks/acme")
    assert rows["stripe"]["register_at"].startswith("Stripe Dashboard")
    assert rows["acme"]["last_received_at"] is None
    assert {row["dedupe_window_days"] for row in rows.values()} == {7}
    lines = (await beside("sources")).out.splitlines()
    assert [line.split()[0] for line in lines] == ["source", *rows]


def test_sources_before_the_first_start(cli: Cli) -> None:
    """The URLs to register are told before there is an inbox, with the public URL where there is one."""
    text = TOML.format(url="http://127.0.0.1:9").replace("port = 0", 'public_url = "https://hooks.example.com/in/"', 1)
    Path("gateway.toml").write_text(text)
    result = cli("sources")
    assert result.code == 0
    assert "https://hooks.example.com/in/webhooks/stripe" in result.out


async def test_deliveries(beside: Beside) -> None:
    """Deliveries are listed newest first, and each filter narrows the list."""
    await three(beside)

    async def found(*filters: str) -> list[str]:
        return [row["source"] for row in (await beside("deliveries", "--json", *filters)).json]

    assert await found() == ["github", "slack", "stripe"]
    assert await found("--limit", "2") == ["github", "slack"]
    assert await found("--source", "slack") == ["slack"]
    assert await found("--type", "push") == ["github"]
    assert await found("--state", "dead") == []
    assert await found("--state", "forwarded", "--type", "message") == ["slack"]
    lines = (await beside("deliveries")).out.splitlines()
    assert lines[0].split() == ["received", "source", "delivery", "state", "attempts", "duplicates", "event", "reason"]
    assert [line.split()[2] for line in lines[1:]] == ["github", "slack", "stripe"]
    assert "github/push" in lines[1]


async def test_no_deliveries(beside: Beside) -> None:
    """A list without deliveries says in which inbox it looked, and is an empty list for programs."""
    result = await beside("deliveries", "--source", "stripe")
    assert (result.code, result.out) == (0, "")
    assert result.err == f"no delivery in {beside.world.folder}/inbox.db matches\n"
    assert (await beside("deliveries", "--json")).json == []


@pytest.mark.parametrize("command", [["deliveries"], ["show", "evt_1"]])
def test_no_inbox(cli: Cli, folder: Path, command: list[str]) -> None:
    """Before the first start there is no inbox, and what makes it is told; nothing is made by looking."""
    Path("gateway.toml").write_text(TOML.format(url="http://127.0.0.1:9"))
    result = cli(*command)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"{folder}/inbox.db: there is no inbox yet")
    assert not (folder / "inbox.db").exists()


async def test_show_by_each_id(beside: Beside) -> None:
    """One delivery is found by its own id, its event's id, the event API's id of that and its trace id."""
    await three(beside)
    [delivery] = (await beside("deliveries", "--json", "--source", "stripe")).json
    [event] = delivery["events"]
    ids = [delivery["delivery_id"], event["id"], event["event_api_id"], delivery["traceparent"].split("-")[1]]
    told = {(await beside("show", identifier)).out for identifier in ids}
    assert len(told) == 1
    facts = dict(line.split("  ", 1) for line in told.pop().splitlines() if line)
    assert facts["delivery"].strip() == f"stripe {delivery['delivery_id']} (customer.created)"
    assert "with the secret STRIPE_WEBHOOK_SECRET" in facts["verified"]
    assert facts["state"].strip() == "forwarded"
    assert "transforms.stripe:transform" in facts["transform"]
    assert facts["settled"].endswith("after it was received")
    assert facts["next"].strip() == "nothing; it is told of until its retention ends"
    assert "200 accepted" in facts["attempt 1"]
    assert facts["event"].strip() == f"stripe/customer.created {event['id']} -> {event['event_api_id']}"
    [document] = (await beside("show", ids[0], "--json")).json
    assert document["body_bytes"] > 1_000
    assert {**delivery, "body_bytes": document["body_bytes"]} == document


async def test_show_nothing(beside: Beside) -> None:
    """An id that nothing has is exit code 1, and an empty list for programs."""
    result = await beside("show", "evt_nobody")
    assert (result.code, result.out) == (1, "")
    assert "nothing in the inbox has this id" in result.err
    result = await beside("show", "evt_nobody", "--json")
    assert (result.code, result.json) == (1, [])


async def test_dead_letter(cli: Cli, beside: Beside, folder: Path) -> None:
    """A dead letter is shown with its reason, in which nothing can steer a terminal."""
    (folder / "acme_map.py").write_text("def transform(delivery):\n    raise ValueError('\\x1b[31m[bold]no')\n")
    await beside.world.stop()
    await beside.world.start('[sources.odd]\nprovider = "hmac"\nverify = "none"\ntransform = "acme_map:transform"\n')
    await beside.world.post("odd", [("Content-Type", "application/json")], dumps({"id": "1\u200b"}))
    await beside.world.settled(1, State.DEAD)
    [row] = (await beside("deliveries", "--json", "--state", "dead")).json
    for result in (await beside("deliveries"), await beside("show", row["delivery_id"])):
        assert "acme_map:transform raised ValueError" in result.out
        assert "[bold]no" in result.out
        assert "\x1b" not in result.out


async def test_looking_needs_no_secret(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who only looks needs none of the variables that the gateway itself runs with."""
    await three(beside)
    for name in ENVIRON:
        monkeypatch.delenv(name)
    [row] = (await beside("deliveries", "--json", "--source", "github")).json
    commands = (["sources"], ["deliveries"], ["show", row["delivery_id"]], ["try", "github", row["delivery_id"]])
    for command in commands:
        result = await beside(*command)
        assert (result.code, result.err) == (0, "")
    assert json.loads((await beside(*commands[-1])).out)["name"] == "github/push"
