from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway import quarantine
from gateway.clock import SystemClock
from tests.cli.conftest import Beside, Cli
from tests.signed import BODIES, signed_headers
from tests.world import TOML

OTHER = "another secret altogether"


async def _flush(beside: Beside) -> None:
    """Stop the gateway, which writes what waits."""
    await beside.world.stop()


async def test_causes_are_grouped(beside: Beside) -> None:
    """Each cause of a source is told once: how often, when, what to do, and the likeliest first."""
    body = BODIES["github"]
    for _ in range(3):
        await beside.world.post("github", signed_headers("github", body), body + b" ")
    await beside.world.post("github", [], body)
    await beside.world.send("github", body)
    await _flush(beside)
    told = await beside("doctor", "github")
    assert told.code == 1
    assert told.out.index("body_rewritten") < told.out.index("unsigned (likely)")
    assert "byte for byte" in told.out
    assert "github: last verified delivery 20" in told.out
    assert "since then  verified deliveries, the last 20" in told.out
    found = (await beside("doctor", "github", "--json")).json
    assert [(one["cause"], one["samples"], one["proven"]) for one in found] == [
        ("body_rewritten", 3, True),
        ("unsigned", 1, False),
    ]
    assert dict(found[0]["request"]["headers"])["x-hub-signature-256"] == "[sha256= 64 hex digits]"


async def test_while_it_serves(beside: Beside) -> None:
    """The doctor reads what a running gateway keeps, within about a second."""
    await beside.world.post("slack", [], b"{}")
    clock, path = SystemClock(), quarantine.path_of(beside.world.gateway.config.inbox_path)
    deadline = clock.now() + 10_000
    while not path.exists() and clock.now() < deadline:
        await beside("sources")
    assert (await beside("doctor", "slack")).code == 1


async def test_all_sources_and_unknown_names(beside: Beside) -> None:
    """Without a source everything is told, requests to names that no source has among it."""
    await beside.world.post("strype", [], b"{}")
    await beside.world.post("slack", [], b"{}")
    await _flush(beside)
    told = await beside("doctor")
    assert "register /webhooks/stripe" in told.out
    assert "X-Slack-Signature is missing" in told.out
    assert (await beside("doctor", "github")).code == 0
    assert (await beside("doctor", "--since", "2999-01-01")).code == 0


def test_nothing_was_rejected(cli: Cli, folder: Path) -> None:
    """Where nothing was kept the exit code is 0."""
    (folder / "gateway.toml").write_text(TOML.format(url="http://127.0.0.1:1"))
    told = cli("doctor", "stripe")
    assert (told.code, told.err) == (0, "")
    assert "nothing was rejected" in told.out
    assert cli("doctor", "stripe", "--json").json == []


MISUSE = [
    (["doctor", "nobody"], "there is no such source"),
    (["doctor", "--request", "request.http"], "name the source"),
    (["doctor", "acme", "--request", "missing.http"], "cannot be read"),
    (["doctor", "acme", "--request", "gateway.toml"], "the first line"),
    (["doctor", "acme", "--since", "yesterday"], "this is not a time"),
]


@pytest.mark.parametrize(("arguments", "words"), MISUSE)
def test_misuse(cli: Cli, folder: Path, arguments: list[str], words: str) -> None:
    """What cannot be examined is said in a sentence, with exit code 2."""
    (folder / "gateway.toml").write_text("\n" + TOML.format(url="http://127.0.0.1:1"))
    told = cli(*arguments)
    assert told.code == 2
    assert words in told.err


def _write(path: Path, headers: tuple[tuple[str, str], ...], body: bytes, form: str) -> Path:
    """Write a recorded request, as HTTP or as JSON."""
    if form == "json":
        path.write_text(json.dumps({"headers": dict(headers), "body": body.decode()}))
        return path
    lines = ["POST /webhooks/github HTTP/1.1", *(f"{name}: {value}" for name, value in headers)]
    end = "\r\n" if form == "crlf" else "\n"
    head = end.join([*lines, f"Content-Length: {len(body)}", "", ""])
    path.write_bytes(head.encode() + body + b"\n")
    return path


@pytest.mark.parametrize("form", ["crlf", "lf", "json"])
def test_a_recorded_request(cli: Cli, folder: Path, form: str) -> None:
    """A recorded request is verified as the gateway would, and explained where it would not be taken."""
    (folder / "gateway.toml").write_text(TOML.format(url="http://127.0.0.1:1"))
    body = b'{"a": 1}'
    good = _write(folder / "good", signed_headers("github", body), body, form)
    bad = _write(folder / "bad", signed_headers("github", b'{"a":1}'), body, form)
    assert cli("doctor", "github", "--request", good).code == 0
    assert cli("doctor", "github", "--request", good, "--json").json == []
    told = cli("doctor", "github", "--request", bad)
    assert told.code == 1
    assert "as compact JSON" in told.out
    [found] = cli("doctor", "github", "--request", bad, "--json").json
    assert (found["reason"], found["cause"], found["proven"]) == ("signature_mismatch", "body_rewritten", True)


def test_a_recorded_request_of_some_time_ago(cli: Cli, folder: Path) -> None:
    """A recorded request is stale by now and is not at the time it was received."""
    (folder / "gateway.toml").write_text(TOML.format(url="http://127.0.0.1:1"))
    file = _write(folder / "old", signed_headers("slack", BODIES["slack"]), BODIES["slack"], "lf")
    told = cli("doctor", "slack", "--request", file)
    assert (told.code, "behind this host's clock" in told.out) == (1, True)
    assert cli("doctor", "slack", "--request", file, "--at", "2023-11-14T22:13:25Z").code == 0


BROKEN = [
    (b"{}", "JSON without headers"),
    (b'{"headers": 5, "body": ""}', "headers is neither"),
    (b'{"headers": {"a": 1}, "body": ""}', "headers is neither"),
    (b'{"headers": {}}', "there is no body"),
    (b'{"headers": {}, "body_base64": "%"}', "cannot be decoded"),
    (b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf", "Content-Length says 9"),
    (b"\n\nbody", "the first line"),
    (b"garbage\n\nbody", "the first line"),
    (b"no end", "no empty line"),
]


@pytest.mark.parametrize(("content", "words"), BROKEN)
def test_not_a_request(cli: Cli, folder: Path, content: bytes, words: str) -> None:
    """A file that is no request is refused with what it lacks."""
    (folder / "gateway.toml").write_text(TOML.format(url="http://127.0.0.1:1"))
    (folder / "file").write_bytes(content)
    told = cli("doctor", "github", "--request", "file")
    assert told.code == 2
    assert words in told.err
