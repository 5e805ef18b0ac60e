"""Hostile HTTP against a gateway process: every answer is a documented one, and nothing gets in."""

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.history import Query
from gateway.inbox.sqlite import SqliteInbox
from tests.signed import BODIES, FORM, signed_headers
from tests.world import ENVIRON, PROVIDER_OF, TOML

SOURCES = ["stripe", "slack", "github", "shopify", "standard", "acme"]
REASONS = {400, 401, 413, 415}
EXAMPLES = int(os.environ.get("GATEWAY_TEST_FUZZ_EXAMPLES", "150"))


@dataclass
class Target:
    """A gateway process, its folder and its log file."""

    port: int
    folder: Path
    log: Path


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Start a gateway for this module; afterwards nothing may have been kept and nothing may have crashed."""
    folder = tmp_path_factory.mktemp("fuzz")
    config, log = folder / "gateway.toml", folder / "log"
    config.write_text(TOML.format(url="http://127.0.0.1:9"))
    command = [sys.executable, "-m", "gateway", "serve", "--config", str(config)]
    with log.open("wb") as err:
        child = subprocess.Popen(command, env={**os.environ, **ENVIRON}, stderr=err)  # noqa: S603 - our own command
    try:
        yield Target(_port(log), folder, log)
    finally:
        child.send_signal(signal.SIGTERM)
        assert child.wait(20) == 0
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert set(events) == {"started", "request", "draining", "stopped"}
    assert asyncio.run(_kept(folder)) == 0


def _port(log: Path) -> int:
    for _ in range(400):
        lines = log.read_text().splitlines()
        if lines:
            return int(json.loads(lines[0])["urls"][0].split(":")[2].split("/")[0])
        time.sleep(0.05)
    raise TimeoutError(log.read_text())


async def _kept(folder: Path) -> int:
    inbox = SqliteInbox.open(folder / "inbox.db", dedupe_window_ms=1, read_only=True)
    found = await inbox.search(Query())
    await inbox.close()
    return len(found)


def post(target: Target, source: str, headers: list[tuple[str, bytes]], body: bytes) -> tuple[int, bytes]:
    """Post raw header bytes and a body over a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", target.port, timeout=10)
    try:
        connection.putrequest("POST", f"/webhooks/{source}", skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


# Every byte that may stand in a header's value on the wire; others never reach the gateway's own code.
VALUE = st.binary(max_size=60).map(lambda raw: bytes(b for b in raw if b >= 0x20 and b != 0x7F).strip())
TELLING = st.sampled_from(
    [FORM.encode(), b"gzip", b"application/json", b"v0=" + b"0" * 64, b"sha256=" + b"0" * 64, b"v1,AAAA", b"t=1,v1=0"]
)
NAMES = [
    "Stripe-Signature", "X-Slack-Signature", "X-Slack-Request-Timestamp", "X-Hub-Signature-256", "X-GitHub-Event",
    "X-GitHub-Delivery", "X-Shopify-Hmac-Sha256", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature", "Svix-Id",
    "X-Acme-Signature", "X-Acme-Timestamp", "Content-Type", "Content-Encoding", "X-Other",
]  # fmt: skip
HEADERS = st.lists(st.tuples(st.sampled_from(NAMES), VALUE | TELLING), max_size=6)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(source=st.sampled_from(SOURCES), headers=HEADERS, body=st.binary(max_size=300))
def test_anything(target: Target, source: str, headers: list[tuple[str, bytes]], body: bytes) -> None:
    """Any headers and any body without a genuine signature: a documented 4xx."""
    status, answer = post(target, source, headers, body)
    assert status in REASONS
    assert json.loads(answer)["status"] == "rejected"


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(source=st.sampled_from(SOURCES), part=st.integers(0, 3), at=st.integers(0, 999))
def test_genuine_requests_spoilt(target: Target, source: str, part: int, at: int) -> None:
    """A genuine request with one byte of its body, or of one deciding header, changed: a documented 4xx."""
    provider = PROVIDER_OF.get(source, source)
    body = BODIES[provider]
    headers = [(name, value.encode()) for name, value in signed_headers(provider, body, at=int(time.time() * 1000))]
    deciding = [i for i, (name, _) in enumerate(headers) if "sign" in name or "hmac" in name or "timestamp" in name]
    if part < len(deciding):
        name, value = headers[deciding[part]]
        headers[deciding[part]] = (name, spoil(value, at))
    else:
        body = spoil(body, at)
    status, answer = post(target, source, headers, body)
    assert status in REASONS
    assert json.loads(answer)["status"] == "rejected"


def spoil(text: bytes, at: int) -> bytes:
    """Change one byte to a digit; hex is the same in either case, so a change of case would change nothing."""
    at %= len(text)
    return text[:at] + (b"1" if text[at : at + 1] == b"0" else b"0") + text[at + 1 :]
