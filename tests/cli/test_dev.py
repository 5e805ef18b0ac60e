import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.cli import child
from tests.cli.conftest import Cli
from tests.world import ENVIRON

CONFIG = """
[server]
port = {port}
[admin]
port = 0
[event_api]
key = "${{ACME_EVENT_KEY}}"
[sources.pay]
provider = "stripe"
secrets = ["${{ACME_STRIPE_SECRET}}"]
[sources.own]
provider = "hmac"
verify = "none"
transform = "dev_map:transform"
"""


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take all secrets out of the environment."""
    for name in ENVIRON:
        monkeypatch.delenv(name)


def write(port: int = 0, more: str = "") -> None:
    """Write ./gateway.toml with a transform that fails."""
    Path("gateway.toml").write_text(CONFIG.format(port=port) + more)
    Path("dev_map.py").write_text("def transform(delivery):\n    raise LookupError('no such thing')\n")


def secrets() -> list[str]:
    """Return the demo secrets that were kept."""
    return [path.read_text() for path in Path(".gateway/secrets").iterdir() if path.name != "event_key"]


def quiet(*texts: str) -> bool:
    """Tell whether the texts hold no demo secret and no traceback."""
    return not any(banned in text for banned in ("Traceback", *secrets()) for text in texts)


def state() -> Any:
    """Return what a running one leaves for the other commands, or None."""
    path = Path(".gateway/running.json")
    return json.loads(path.read_text()) if path.exists() else None


async def test_once_in_an_empty_folder(cli: Cli, folder: Path) -> None:
    """In an empty folder everything is made, three samples are forwarded and told in a table, and it ends 0."""
    result = await child.run("dev", "--once", "--send", "stripe", "--send", "slack", "--send", "github")
    assert result.code == 0
    assert quiet(result.out, result.err)
    rows = [line.split() for line in result.out.splitlines()[-3:]]
    assert [(row[0], row[2]) for row in rows] == [
        ("stripe", "stripe/customer.created"),
        ("slack", "slack/message.posted"),
        ("github", "github/push"),
    ]
    assert [row[3] for row in rows] == [f"{row[0]}:{row[1]}:{row[2].partition('/')[2]}" for row in rows]
    assert {row[4] for row in rows} == {"200"}
    made = folder / ".gateway"
    assert {path.stat().st_mode & 0o077 for path in [made, *made.rglob("*")]} == {0}
    assert state() is None
    kept = await asyncio.to_thread(cli, "deliveries", "--json")
    assert [row["source"] for row in kept.json] == ["github", "slack", "stripe"]
    first = secrets()
    assert (await child.run("dev", "--once")).code == 0
    assert secrets() == first


async def test_companions(cli: Cli) -> None:
    """While it runs on ./gateway.toml, the other commands find its port, its secrets and its inbox, and after it."""
    write()
    async with child.serving() as dev:
        sent = await asyncio.to_thread(cli, "send", "pay")
        assert (sent.code, sent.err) == (0, "")
        assert quiet(sent.out)
        assert state()["pid"] == dev.pid
        assert f"http://127.0.0.1:{state()['port']}/webhooks/pay" in (await asyncio.to_thread(cli, "sources")).out
        second = await child.run("dev", "--once")
        assert (second.code, second.out) == (2, "")
        assert f"is already served by process {dev.pid}" in second.err
        assert quiet(second.err)
    assert state() is None
    delivery = json.loads(sent.out.partition(": 200 ")[2])["delivery"]
    found = await asyncio.to_thread(cli, "show", delivery)
    assert found.code == 0
    assert "state       forwarded" in found.out


async def test_a_source_that_is_hidden_and_signs_its_url() -> None:
    """A path token is made like a secret and shown nowhere; the URL that is signed is the one on this machine."""
    more = """
[sources.hidden]
provider = "hmac"
secrets = [{ value = "${HIDDEN_SECRET}", label = "2026-10" }]
path_token = "${HIDDEN_TOKEN}"
public_url = "https://hooks.example.com/in"
allow = ["203.0.113.7"]
[sources.hidden.signature]
header = "X-Signature"
signed = "{url}{body}"
[sources.hidden.delivery]
id = "json:/id"
"""
    write(more=more)
    result = await child.run("dev", "--once", "--send", "hidden")
    assert result.code == 0
    assert quiet(result.out, result.err)
    assert "/webhooks/hidden/<path_token>" in result.out


async def test_port_of_another_program() -> None:
    """Where another program has the port, a free one is taken and told."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        write(port)
        result = await child.run("dev", "--once", "--send", "pay")
    assert result.code == 0
    assert "/webhooks/pay" in result.out
    assert f":{port}/" not in result.out


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("own", "dead dev_map:transform raised LookupError: no such thing"),
        ("small", 'small order.created: 413 {"status":"rejected","reason":"body_too_large"}'),
    ],
)
async def test_sample_that_comes_to_nothing(source: str, told: str) -> None:
    """A sample that ends as a dead letter, or that is refused, is told and makes the exit code 1."""
    write(more="[sources.small]\nprovider = 'hmac'\nverify = 'none'\nbody_limit_bytes = 10\n")
    result = await child.run("dev", "--once", "--send", "pay", "--send", source)
    assert result.code == 1
    assert told in result.out
    assert "stripe/customer.created" in result.out


async def test_first_starts_at_one_moment(folder: Path) -> None:
    """Of two first starts at one moment each ends well or is told that the other serves; secrets are made once."""
    results = await asyncio.gather(child.run("dev", "--once"), child.run("dev", "--once"))
    assert 0 in [result.code for result in results]
    for result in results:
        assert quiet(result.out, result.err)
        assert result.code == 0 or "is already served by process" in result.err
    assert not list((folder / ".gateway").rglob("tmp*"))


def test_unknown_source(cli: Cli) -> None:
    """A sample for an unknown source is refused before anything starts."""
    write()
    result = cli("dev", "--once", "--send", "nobody")
    assert (result.code, result.out) == (2, "")
    assert "sources.nobody: there is no such source; the sources are own, pay" in result.err
    assert not Path(".gateway/inbox.db").exists()


def test_folder_that_cannot_be_made(cli: Cli) -> None:
    """Where its folder cannot be made, the reason is told."""
    Path(".gateway").write_text("in the way")
    result = cli("dev", "--once")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(".gateway: demo secrets and the inbox cannot be kept there (File exists)")


@pytest.mark.parametrize("left", ["", "[]", '{"pid": 1}', "dead"])
async def test_what_a_killed_one_leaves(cli: Cli, folder: Path, left: str) -> None:
    """What was left by one that was killed, or is damaged, misleads nobody."""
    write(8123)
    ended = await asyncio.create_subprocess_exec("true")
    await ended.wait()
    dead = json.dumps({"pid": ended.pid, "config": str(folder / "gateway.toml"), "port": 1})
    (folder / ".gateway").mkdir()
    (folder / ".gateway" / "running.json").write_text(dead if left == "dead" else left)
    rows = (await asyncio.to_thread(cli, "sources", "--json")).json
    assert rows[0]["url"] == "http://127.0.0.1:8123/webhooks/pay"


async def test_serve_on_a_port_of_another_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """`gateway serve` takes no other port: it ends with exit code 2 and a sentence that names the address."""
    monkeypatch.setenv("ACME_EVENT_KEY", "canary-event-key")
    monkeypatch.setenv("ACME_STRIPE_SECRET", "whsec_" + "canary00" * 4)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        write(port)
        result = await child.run("serve")
    assert (result.code, result.out) == (2, "")
    assert f"cannot listen on 127.0.0.1:{port}" in result.err
    assert "canary" not in result.err
    assert "Traceback" not in result.err


async def test_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a command that waits, without a traceback."""
    monkeypatch.setenv("ACME_STRIPE_SECRET", "whsec_" + "canary00" * 4)
    write()
    reached = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        result = await child.interrupted("send", "pay", "--url", url, when=reached)
    assert (result.code, result.out) == (130, "")
    assert "Traceback" not in result.err


async def test_what_init_wrote(cli: Cli) -> None:
    """A file that `gateway init` wrote serves at once: demo secrets, key pairs and constants stand in for variables."""
    names = ["linear", "discord", "tiktok-shop", "dropbox-sign", "twilio", "hmac"]
    assert (await asyncio.to_thread(cli, "init", *(word for name in names for word in ("--provider", name)))).code == 0
    sends = [word for name in names for word in ("--send", name)]
    result = await child.run("dev", *sends, "--once")
    assert (result.code, quiet(result.out, result.err)) == (0, True), result.out
    kinds = ("Issue.update", "APPLICATION_AUTHORIZED", "sample", "sample", "delivered", "order.created")
    for name, kind in zip(names, kinds, strict=True):
        assert f"\n{name} {kind}: 20" in result.out
