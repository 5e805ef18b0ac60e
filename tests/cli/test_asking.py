"""The commands that look ask the gateway that serves, and read the file where none does: with the same output."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from gateway import admin_token
from gateway.admin import address
from gateway.model import State
from tests import postgres_schemas
from tests.cli.child import run
from tests.cli.conftest import Beside, Cli
from tests.signed import BODIES

TOKEN = admin_token.make()
LOOKING = (
    ["sources"],
    ["sources", "--json"],
    ["deliveries"],
    ["deliveries", "--json", "--limit", "2"],
    ["deliveries", "--source", "stripe", "--state", "forwarded"],
    ["show", "{id}"],
    ["show", "{id}", "--json"],
    ["show", "nobody"],
)


async def fill(beside: Beside, more: str = "") -> str:
    """Send to three sources, one of them twice and one of them unsigned; return the id of the first."""
    public = beside.world.write_config(more)
    public.write_text(public.read_text().replace("[admin]", 'public_url = "https://hooks.example.com"\n[admin]'))
    await beside.world.stop()
    await beside.world.start_as_written()
    for source in ("stripe", "slack", "github"):
        await beside.send(source)
    await beside.send("stripe", "--unsigned")
    await beside.world.settled(3)
    for _ in range(100):
        if (await beside("sources", "--json")).json[0]["rejections"]:
            break
    [row] = (await beside("deliveries", "--json", "--source", "stripe")).json
    return str(row["delivery_id"])


async def test_a_command_tells_the_same_with_and_without_a_gateway(beside: Beside) -> None:
    """Every command that looks has the same output and exit code while a gateway serves and when none does."""
    identifier = await fill(beside)
    commands = [[word.format(id=identifier) for word in command] for command in LOOKING]
    served = [await beside(*command) for command in commands]
    await beside.world.stop()
    assert [await beside(*command) for command in commands] == served
    assert all(result.out for result in served[:-1])
    assert [result.code for result in served] == [*[0] * 7, 1]


async def test_commands_tell_the_same_of_an_inbox_in_postgresql(beside: Beside, folder: Path) -> None:
    """Also where several gateways share an inbox, and what this one keeps for itself lies in a folder of its own."""
    (folder / "own").mkdir()
    url, schema = postgres_schemas.of(folder)
    more = f'[inbox]\nurl = "{url}"\nschema_name = "{schema}"\nlocal_folder = "own"\n'
    identifier = await fill(beside, more)
    commands = [[word.format(id=identifier) for word in command] for command in LOOKING]
    served = [await beside(*command) for command in commands]
    stats = await beside("stats", "--once", "--json")
    assert {path.name for path in (folder / "own").iterdir()} == {"inbox.admin", "inbox.rejected"}
    await beside.world.stop()
    assert [await beside(*command) for command in commands] == served
    assert [result.code for result in served] == [*[0] * 7, 1]
    alone = await beside("stats", "--once", "--json")
    assert stats.json["forwarding"]["state"] == "healthy"
    for told in (stats.json, alone.json):
        assert set(told["by_source"]) == {"stripe", "slack", "github"}
        assert set(told["settled_per_second"]) == {"forwarded"}


async def test_what_a_gateway_alone_knows(beside: Beside) -> None:
    """Of a delivery that waits, a gateway tells when it is tried and why not now; without one it waits for that."""
    beside.world.event_api.keys = {"another"}
    await beside.send("stripe")
    for _ in range(100):
        [row] = (await beside("deliveries", "--json")).json
        if row["attempts"]:
            break
    told = (await beside("show", row["delivery_id"])).out
    assert "forwarding is paused, the next probe" in told
    assert "check event_api.key" in told
    await beside.world.stop()
    assert "no gateway here serves the inbox" in (await beside("show", row["delivery_id"])).out


async def test_a_dead_letter_tells_how_to_run_it_again(cli: Cli, beside: Beside) -> None:
    """What is next for a dead letter is the command that runs it again, which does."""
    (beside.world.folder / "broken.py").write_text("def transform(delivery):\n    raise KeyError('plan')\n")
    await beside.world.stop()
    await beside.world.start('[sources.odd]\nprovider = "hmac"\nverify = "none"\ntransform = "./broken.py:transform"\n')
    await beside.world.post("odd", [("Content-Type", "application/json")], b"{}")
    [dead] = await beside.world.settled(1, State.DEAD)
    told = (await beside("show", dead.entry.delivery.id)).out
    assert f"gateway replay {dead.entry.delivery.id}" in told
    assert "./broken.py:transform, " in told


async def test_the_clock_is_told(beside: Beside) -> None:
    """While a provider is refused, the list of sources says how long it still waits, or that it does not."""
    headers = [("Stripe-Signature", "t=1,v1=00")]
    assert (await beside.world.post("stripe", headers, BODIES["stripe"]))[0] == 401
    assert (await beside.world.post("github", [("X-Hub-Signature-256", f"sha256={'0' * 64}")], b"{}"))[0] == 401
    told = (await beside("sources")).out.splitlines()
    [stripe] = [line for line in told if line.startswith("stripe: ")]
    assert stripe.startswith("stripe: gives up in 2 days: refused once since")
    [github] = [line for line in told if line.startswith("github: ")]
    assert github.startswith("github: has given up: refused once since")
    assert github.endswith("the last with 401 signature_mismatch; it is not sent again")


@contextmanager
def stranger() -> Iterator[str]:
    """Run another program that answers every request; give its URL."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"deliveries": [], "next": null, "sources": []}')

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as it is called
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


async def test_an_address_that_a_killed_gateway_left(beside: Beside) -> None:
    """Where the gateway was killed, whoever has its port now is not believed, and neither is nobody."""
    identifier = await fill(beside)
    await beside.world.stop()
    expected = await beside("show", identifier)
    inbox = beside.world.folder / "inbox.db"
    with stranger() as url:
        address.write(inbox, address.Address(url, "0123456789abcdef"))
        assert await beside("show", identifier) == expected
    assert await beside("show", identifier) == expected
    address.write(inbox, address.Address("http://127.0.0.1:1", ""))
    assert await beside("show", identifier) == expected


async def test_a_gateway_that_asks_for_a_token(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token is taken from the environment or a file; without it the file is read, and that is said."""
    path = beside.world.write_config()
    path.write_text(path.read_text().replace("[admin]", f'[admin]\ntoken_hash = "{admin_token.digest(TOKEN)}"'))
    await beside.world.stop()
    await beside.world.start_as_written()
    await beside.send("stripe")
    await beside.world.settled(1)
    denied = await beside("deliveries", "--json")
    assert (denied.code, len(denied.json)) == (0, 1)
    assert "$GATEWAY_ADMIN_TOKEN" in denied.err
    monkeypatch.setenv("GATEWAY_ADMIN_TOKEN", TOKEN)
    let_in = await beside("deliveries", "--json")
    assert (let_in.code, let_in.out, let_in.err) == (0, denied.out, "")
    monkeypatch.delenv("GATEWAY_ADMIN_TOKEN")
    kept = beside.world.folder / "token"
    kept.write_text(f"{TOKEN}\n")
    monkeypatch.setenv("GATEWAY_ADMIN_TOKEN_FILE", str(kept))
    assert (await beside("deliveries", "--json")).err == ""
    kept.unlink()
    missing = await beside("deliveries", "--json")
    assert missing.code == 2
    assert f"$GATEWAY_ADMIN_TOKEN_FILE: {kept} cannot be read" in missing.err


async def test_a_replay_shows_the_token_too(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """A replay needs the gateway, and says so where that asks for a token."""
    path = beside.world.write_config()
    path.write_text(path.read_text().replace("[admin]", f'[admin]\ntoken_hash = "{admin_token.digest(TOKEN)}"'))
    await beside.world.stop()
    await beside.world.start_as_written()
    await beside.send("stripe")
    await beside.world.settled(1)
    replay = ("replay", "--state", "forwarded", "--yes")
    refused = await run(*replay)
    assert (refused.code, "$GATEWAY_ADMIN_TOKEN" in refused.err) == (1, True)
    monkeypatch.setenv("GATEWAY_ADMIN_TOKEN", TOKEN)
    assert "1 of 1 are pending again" in (await run(*replay)).out


def test_the_token_command(cli: Cli) -> None:
    """A token is printed once with what gateway.toml keeps of it."""
    made = cli("admin-token", "--json").json
    assert admin_token.matches(made["token_hash"], made["token"])
    told = cli("admin-token").out
    assert 'token_hash = "sha256:' in told
    assert "gwadm_" in told
