from __future__ import annotations

from collections.abc import Callable

import pytest

from gateway.config import Config
from gateway.handshakes import Handshake, Mac

Faults = Callable[..., list[str]]
LoadText = Callable[..., Config]

SOURCE = """
[sources.x]
provider = "hmac"
secrets = ["${SECRET}"]
[sources.x.signature]
header = "X-Sig"
[[sources.x.handshake]]
"""
CRC = 'kind = "crc"\nmethod = "GET"\nsigned = false\ntoken = "query:t"\nbody = "{mac}"\n'
GITHUB = '[sources.x]\nprovider = "github"\nsecrets = ["${SECRET}"]\n'
PUBLIC_KEY = SOURCE.replace('header = "X-Sig"', 'header = "X-Sig"\nmethod = "ed25519"')
EVERY_DELIVERY = "without when, token or empty_body every delivery would be this handshake; set one of them"
MAC_KEYS = "use one of signed, method, algorithm, encoding, prefix"
NONE = SOURCE.replace('secrets = ["${SECRET}"]', 'verify = "none"')


def test_a_table_becomes_a_handshake(load_text: LoadText) -> None:
    """Every key of a [[sources.x.handshake]] table is one of the handshake it describes."""
    text = (
        SOURCE
        + """
    kind = "challenge"
    method = "GET"
    when = { "query:mode" = "subscribe" }
    empty_body = true
    signed = false
    token = "query:token"
    token_pattern = "[a-z]+"
    require = [["{query:a}", "{param:b}"], ["{query:c}", "d"]]
    status = 201
    otherwise_status = 404
    type = "application/problem+json"
    json = { a = ["{mac}", 1] }
    headers = { X-A = "{token}" }
    mac = { signed = "{token}{param:b}", method = "hash", algorithm = "sha512", encoding = "base64url", prefix = "p" }
    [sources.x.params]
    b = "constant"
    """
    )
    [table] = load_text(text).sources["x"].handshake
    assert table.handshake() == Handshake(
        kind="challenge",
        method="GET",
        when={"query:mode": "subscribe"},
        empty_body=True,
        signed=False,
        token="query:token",
        token_pattern="[a-z]+",
        require=(("{query:a}", "{param:b}"), ("{query:c}", "d")),
        status=201,
        otherwise_status=404,
        type="application/problem+json",
        json={"a": ["{mac}", 1]},
        headers={"X-A": "{token}"},
        mac=Mac("{token}{param:b}", "hash", "sha512", "base64url", "p"),
    )


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (SOURCE + 'method = "GET"', "sources.x.handshake[0].kind: is missing; add it to [sources.x.handshake[0]]"),
        (
            SOURCE + 'kind = "a"\nempty_body = true\ntokn = "b"',
            "sources.x.handshake[0].tokn: is not a known key; did you mean token?",
        ),
        (
            SOURCE + 'kind = "a"\nempty_body = true\njsn = {}',
            "sources.x.handshake[0].jsn: is not a known key; did you mean json?",
        ),
        (
            SOURCE + 'kind = "a"',
            f"sources.x.handshake[0]: {EVERY_DELIVERY}; correct that key",
        ),
        (
            SOURCE + CRC + 'mac = { hash = "sha1" }',
            f"sources.x.handshake[0].mac.hash: is not a known key; {MAC_KEYS}",
        ),
        (
            SOURCE + CRC + 'mac = { signed = "{token}{param:key}" }',
            "sources.x.params.key: is missing, and the sender's handshake needs it; add it to [sources.x.params]",
        ),
        (
            SOURCE + CRC + 'mac = { signed = "{token}{param:key}" }\n[sources.x.params]\nkey = ""',
            "sources.x.params.key: is missing, and the sender's handshake needs it; add it to [sources.x.params]",
        ),
        (
            SOURCE + CRC + 'mac = { signed = "{token}{url_base}" }',
            "server.public_url: is missing, and the handshake crc of source x is answered with it; add it to [server]",
        ),
        (
            NONE + CRC + "mac = {}",
            "sources.x.verify: leaves out the secret with which the handshake crc is answered; give secrets instead",
        ),
        (
            GITHUB + '[[sources.x.handshake]]\nkind = "a"\nempty_body = true',
            'sources.x.handshake: is fixed for provider = "github"; remove it, or set provider = "hmac"',
        ),
    ],
)
def test_faults(faults: Faults, text: str, fault: str) -> None:
    """A handshake that could not be answered is a fault that names the key and the fix."""
    assert faults(text) == [f"gateway.toml: {fault}"]


def test_a_public_key_signs_nothing(faults: Faults) -> None:
    """A handshake is not answered with a mac where the secret is a public key, which is none."""
    key = {"INNGEST_EVENT_KEY": "k", "SECRET": "79b5562e8fe654f94078b112e8a98ba7901f853ae695bed7e0e3910bad049664"}
    [fault] = faults(PUBLIC_KEY + CRC + "mac = {}", key)
    assert "this sender's secret is a public key" in fault
