import asyncio
import http.server
import socket
import threading
from pathlib import Path

import pytest

from gateway.dev import key_pairs
from gateway.dev.samples import types
from gateway.model import State
from tests.cli.conftest import Beside, Cli
from tests.world import PROVIDER_OF, TOML

SOURCES = ["stripe", "slack", "github", "shopify", "standard", "acme"]
TIMED = ["stripe", "slack", "standard", "acme"]


@pytest.mark.parametrize("source", SOURCES)
async def test_every_sample_is_taken(beside: Beside, source: str) -> None:
    """Each type of sample of each source is accepted and forwarded, and the default is the first type."""
    kinds = types(PROVIDER_OF.get(source, source))
    for kind in kinds:
        result = await beside.send(source, kind)
        assert (result.code, result.err) == (0, "")
        assert result.out.startswith(f"{source} {kind}: 200 ")
    assert (await beside.send(source)).out.startswith(f"{source} {kinds[0]}: 200 ")
    assert len(await beside.world.settled(len(kinds) + 1, State.FORWARDED)) == len(kinds) + 1


@pytest.mark.parametrize("source", SOURCES)
async def test_tampered_is_refused(beside: Beside, source: str) -> None:
    """A sample changed after signing is 401, which is what was asked for."""
    result = await beside.send(source, "--tampered")
    assert result.code == 0
    assert '401 {"status":"rejected","reason":"signature_mismatch"}' in result.out


@pytest.mark.parametrize("source", TIMED)
async def test_stale_is_refused(beside: Beside, source: str) -> None:
    """A sample signed yesterday is 401, which is what was asked for."""
    result = await beside.send(source, "--stale")
    assert result.code == 0
    assert '401 {"status":"rejected","reason":"timestamp_stale"}' in result.out


@pytest.mark.parametrize("source", ["github", "shopify"])
async def test_stale_where_no_time_is_signed(beside: Beside, source: str) -> None:
    """A source whose signature covers no time is not sent a stale sample, and the reason is told."""
    result = await beside.send(source, "--stale")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"{source}: its signature covers no time")
    assert (await beside("deliveries", "--json")).json == []


@pytest.mark.parametrize("option", ["--stale", "--tampered"])
def test_spoiled_where_nothing_is_verified(cli: Cli, option: str) -> None:
    """A source that verifies nothing is not sent a spoiled sample, and the reason is told."""
    Path("gateway.toml").write_text('[sources.open]\nprovider = "hmac"\nverify = "none"\n')
    result = cli("send", "open", option)
    assert result.code == 2
    assert result.err.startswith('open: verify = "none" takes whatever comes')


async def test_repeat(beside: Beside) -> None:
    """The same request several times is accepted once and a duplicate after that."""
    result = await beside.send("stripe", "--repeat", "3", "--json")
    assert result.code == 0
    assert [answer["status"] for answer in result.json] == [200, 200, 200]
    verdicts = [answer["body"].split(",")[0] for answer in result.json]
    assert verdicts == ['{"status":"accepted"', '{"status":"duplicate"', '{"status":"duplicate"']
    assert [found["duplicates"] for found in (await beside("deliveries", "--json")).json] == [2]


async def test_unexpected_answer(beside: Beside) -> None:
    """An answer that is not 2xx is shown, with exit code 1."""
    url = beside.world.url("nobody")
    result = await beside("send", "stripe", "--url", url)
    assert (result.code, result.out) == (
        1,
        'stripe customer.created: 404 {"status":"rejected","reason":"unknown_source"}\n',
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nobody"], "sources.nobody: there is no such source; the sources are acme, github, shopify, slack"),
        (["github", "star"], "there is no github sample of type 'star', only of: push, pull_request"),
    ],
)
def test_unknown_names(cli: Cli, arguments: list[str], told: str) -> None:
    """An unknown source or type is answered with those there are."""
    Path("gateway.toml").write_text(TOML.format(url="http://127.0.0.1:9"))
    result = cli("send", *arguments)
    assert (result.code, result.out) == (2, "")
    assert told in result.err


def test_nothing_listens(cli: Cli) -> None:
    """Where nothing answers, the URL and what to start are told, with exit code 1."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        Path("gateway.toml").write_text(TOML.format(url="http://127.0.0.1:9").replace("port = 0", f"port = {port}", 1))
        result = cli("send", "github")
    assert (result.code, result.out) == (1, "")
    told = f"nothing answers at http://127.0.0.1:{port}/webhooks/github: Connection refused; start `gateway dev`"
    assert result.err.startswith(told)


class Stranger(http.server.BaseHTTPRequestHandler):
    """A program that is no gateway."""

    def do_POST(self) -> None:
        """Answer something for a terminal to choke on."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(f"{self.path}\n\x1b[31m[bold]red".encode())

    def log_message(self, *_: object) -> None:
        """Write no log."""


def test_answer_of_a_stranger(cli: Cli) -> None:
    """What another program answers is one line, without its control characters; a URL's query is sent, too."""
    Path("gateway.toml").write_text(TOML.format(url="http://127.0.0.1:9"))
    with http.server.HTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.handle_request).start()
        result = cli("send", "github", "--url", f"http://127.0.0.1:{server.server_port}/a?b=c")
    assert result.out == "github push: 200 /a?b=c \N{REPLACEMENT CHARACTER}[31m[bold]red\n"


def test_missing_variable(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the source's secret nothing is sent, and the variable is named."""
    Path("gateway.toml").write_text('[sources.hub]\nprovider = "github"\nsecrets = ["${GITHUB_SECRET}"]\n')
    monkeypatch.delenv("GITHUB_SECRET")
    result = cli("send", "hub")
    assert result.code == 2
    assert "sources.hub.secrets[0]: the environment variable GITHUB_SECRET is not set" in result.err


@pytest.mark.parametrize(
    ("option", "reason"), [("--unsigned", "signature_missing"), ("--wrong-secret", "signature_mismatch")]
)
async def test_unsigned_and_wrongly_signed_are_refused(beside: Beside, option: str, reason: str) -> None:
    """A sample without a signature, or under another secret, is refused, which is what was asked for."""
    result = await beside.send("github", option)
    assert result.code == 0
    assert f'401 {{"status":"rejected","reason":"{reason}"}}' in result.out


def test_two_ways_to_spoil(cli: Cli) -> None:
    """A sample is spoiled in one way at a time."""
    result = cli("send", "github", "--stale", "--wrong-secret")
    assert result.code == 2
    assert "--stale and --wrong-secret exclude each other" in result.err


def test_tampered_where_no_content_is_signed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that shows a token is not sent a changed sample, and the reason is told."""
    monkeypatch.setenv("TOKEN", "a token of some length")
    Path("gateway.toml").write_text('[sources.bot]\nprovider = "telegram"\nsecrets = ["${TOKEN}"]\n')
    result = cli("send", "bot", "--tampered")
    assert result.code == 2
    assert result.err.startswith("bot: what it sends proves who sends and covers no content")


async def test_a_key_pair_for_samples(beside: Beside, monkeypatch: pytest.MonkeyPatch) -> None:
    """A source with a public key is sent samples under the private key that --new-key made for them."""
    more = '[sources.discord]\nprovider = "discord"\nsecrets = ["${DISCORD_PUBLIC_KEY}"]\n'
    beside.world.write_config(more)
    made = await beside("send", "discord", "--new-key", "key.pem")
    assert made.code == 0
    assert (await asyncio.to_thread(Path("key.pem").stat)).st_mode & 0o777 == 0o600
    public = made.out.splitlines()[-1]
    monkeypatch.setenv("DISCORD_PUBLIC_KEY", public)
    await beside.world.stop()
    await beside.world.start(more, DISCORD_PUBLIC_KEY=public)
    result = await beside.send("discord", "--private-key", "key.pem")
    assert result.out.startswith("discord APPLICATION_AUTHORIZED: 2")
    result = await beside.send("discord", "--private-key", "key.pem", "--tampered")
    assert (result.code, "signature_mismatch" in result.out) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["discord"], "discord: its secret is a public key, and samples need the private one"),
        (["discord", "--private-key", "none.pem"], "none.pem: the private key cannot be read"),
        (["discord", "--private-key", "gateway.toml"], "discord: the private key is not a PEM"),
        (["discord", "--new-key", "gateway.toml"], "gateway.toml: cannot be written (File exists)"),
        (["github", "--new-key", "key.pem"], "github: its secret is no public key"),
    ],
)
def test_no_usable_private_key(cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str) -> None:
    """What is missing is told in a sentence, and nothing is sent."""
    monkeypatch.setenv("DISCORD_PUBLIC_KEY", key_pairs.generate("ed25519")[1])
    more = '[sources.discord]\nprovider = "discord"\nsecrets = ["${DISCORD_PUBLIC_KEY}"]\n'
    Path("gateway.toml").write_text(TOML.format(url="http://127.0.0.1:9") + more)
    result = cli("send", *arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(told)
