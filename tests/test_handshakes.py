"""What a handshake may be, and the oracles that no handshake becomes, through public configurations."""

import contextlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import build
from gateway.config import load
from gateway.handshakes import Handshake, Mac
from gateway.model import Delivery, Learned, Reply, Request
from gateway.ration import Ration
from gateway.rejections import HandshakeMalformed, HandshakeRefused, RequestRejected, SignatureMissing
from gateway.sources import Source
from gateway.verify import verify

SECRET = "pitfall-secret-pitfall-secret"
NOW = 1_700_000_000_000
X = """
[sources.x.signature]
header = "x-twitter-webhooks-signature"
encoding = "base64"
prefix = "sha256="
[[sources.x.handshake]]
kind = "crc"
method = "GET"
signed = false
token = "query:crc_token"
json = { response_token = "{mac}" }
mac = { encoding = "base64", prefix = "sha256=" }
"""
LINKEDIN = """
[sources.x.signature]
header = "X-LI-Signature"
signed = "hmacsha256={body}"
[[sources.x.handshake]]
kind = "challenge_code"
method = "GET"
signed = false
token = "query:challengeCode"
json = { challengeCode = "{token}", challengeResponse = "{mac}" }
mac = { encoding = "hex" }
"""
BRAINTREE = """
[sources.x.params]
public_key = "integration_public_key"
[sources.x.signature]
at = "form:bt_signature"
signed = "{form:bt_payload}"
algorithm = "sha1"
separator = "&"
assign = "|"
key = "{param:public_key}"
secret_hash = "sha1"
[[sources.x.handshake]]
kind = "challenge"
method = "GET"
signed = false
token = "query:bt_challenge"
token_pattern = "[a-f0-9]{20,32}"
body = "{param:public_key}|{mac}"
mac = { algorithm = "sha1" }
"""
# https://github.com/braintree/braintree_python/blob/main/tests/unit/test_webhooks.py, and the one of X by
# https://github.com/webhook-co/webhook/blob/main/apps/engine/test/handshake.test.ts
VECTORS = [
    (
        BRAINTREE,
        "integration_private_key",
        "bt_challenge=20f9f8ed05f77439fe955c977e4c8a53",
        b"integration_public_key|d9b899556c966b3f06945ec21311865d35df3ce4",
    ),
    (
        X,
        "z3ZX4v7mAAUGykl3EcmkqbartmuW8VFOOzCloLx9Q45P0hLrFu",
        "crc_token=9b4507b3-9040-4669-9ca3-6b94edb50553",
        b'{"response_token":"sha256=Cytd4Sq+NvEcV3MMrXxWJGJx5A+y/lXzzU2Maartkx8="}',
    ),
]

Load = Callable[..., Source]


@pytest.fixture
def source(tmp_path: Path) -> Load:
    """Return a function that makes the one source of a configuration."""

    def make(tables: str, secret: str = SECRET) -> Source:
        path = tmp_path / "gateway.toml"
        path.write_text(f'[sources.x]\nprovider = "hmac"\nsecrets = ["${{SECRET}}"]\n{tables}')
        return build.sources(load(path, {"INNGEST_EVENT_KEY": "key", "SECRET": secret}))["x"]

    return make


def ask(query: str = "", method: str = "GET", body: bytes = b"", **headers: str) -> Request:
    """Make a request as the HTTP edge does."""
    lowered = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Request(method, "/webhooks/x", query, lowered, body, NOW)


@pytest.mark.parametrize(("tables", "secret", "query", "expected"), VECTORS, ids=["braintree", "x"])
def test_published_answers(source: Load, tables: str, secret: str, query: str, expected: bytes) -> None:
    """Challenges that senders publish get the answers they publish."""
    reply = verify(ask(query), source(tables, secret), NOW)
    assert isinstance(reply, Reply)
    assert (reply.status, reply.body, reply.rationed) == (200, expected, True)


ORACLES = [
    (X, "crc_token=%7B%22tweet_create_events%22%3A%5B%7B%22id_str%22%3A%221%22%7D%5D%7D"),
    (X, "crc_token=[1]"),
    (X, "crc_token=%22a%22"),
    (X, "crc_token=a%20b"),
    (X, "crc_token=a%00"),
    (X, "crc_token=" + "a" * 129),
    (X, "crc_token="),
    (LINKEDIN, "challengeCode=hmacsha256%3D%7B%22x%22%3A1%7D"),
    (LINKEDIN, "challengeCode=hmacsha256%3D1"),
    (
        LINKEDIN.replace("signed = false", "signed = false\ntoken_pattern = '.*'"),
        "challengeCode=hmacsha256%3D%7B%22x%22%3A1%7D",
    ),
]
ANYTHING = X.replace("signed = false", "signed = false\ntoken_pattern = '.*'")


@pytest.mark.parametrize(("tables", "query"), [*ORACLES, (ANYTHING, "crc_token=a%20b"), (ANYTHING, "crc_token=a;b")])
def test_no_body_is_signed(source: Load, tables: str, query: str) -> None:
    """Nothing that could be a body, or the sender's own signed text, is signed for whoever asks."""
    with pytest.raises(HandshakeMalformed):
        verify(ask(query), source(tables), NOW)


SAME = """
[sources.x.signature]
header = "X-Sig"
[[sources.x.handshake]]
kind = "same"
signed = false
token = "json:/token"
require = [["{query:a}", "{query:b}"]]
body = "{token}"
"""


def test_nothing_is_equal_to_nothing(source: Load) -> None:
    """What is required to be equal must be there."""
    body = b'{"token": "t"}'
    with pytest.raises(HandshakeRefused):
        verify(ask(method="POST", body=body), source(SAME), NOW)
    assert isinstance(verify(ask("a=1&b=1", "POST", body), source(SAME), NOW), Reply)


def test_unsigned_handshakes_are_small(source: Load) -> None:
    """A large or encoded body is not looked into before its signature was checked."""
    for request in (
        ask("a=1&b=1", "POST", b'{"token": "t"}' + b" " * 16_384),
        ask("a=1&b=1", "POST", b'{"token": "t"}', content_encoding="identity"),
    ):
        with pytest.raises(SignatureMissing):
            verify(request, source(SAME), NOW)


REFUSED = {
    "signed = true cannot hold": {"method": "GET"},
    "every delivery would be this handshake": {},
    "kind is empty": {"kind": "", "empty_body": True},
    "method is none of": {"method": "PUT", "empty_body": True},
    "status is not one of success": {"status": 404, "empty_body": True},
    "use 401": {"otherwise_status": 403, "empty_body": True},
    "body and json are both there": {"body": "a", "json": {}, "empty_body": True},
    "type is no media type": {"type": "text", "empty_body": True},
    "one that a browser runs": {"type": "text/html", "empty_body": True},
    "'content-type' is no header": {"headers": {"content-type": "a/b"}, "empty_body": True},
    "'a b' is no header": {"headers": {"a b": "c"}, "empty_body": True},
    "when: 'sig:t' is not": {"when": {"sig:t": "1"}},
    "token is not header:": {"token": "body"},
    "token_pattern is not a regular expression": {"token": "header:x", "token_pattern": "("},
    "learn needs token": {"learn": True, "empty_body": True},
    "learn takes the secret": {"learn": True, "token": "header:x"},
    "body has {token}, which is not there": {"body": "{token}", "empty_body": True},
    "body has {mac}, which is not there": {"body": "{mac}", "token": "header:x"},
    "body has {query:a}, which is not there": {"body": "{query:a}", "token": "header:x"},
    "json has {secret}, which is not there": {"json": {"a": ["{secret}"]}, "token": "header:x"},
    "headers has {param:}, which is not there": {"headers": {"X-A": "{param:}"}, "token": "header:x"},
    "mac.signed has {mac}, which is not there": {"mac": Mac(signed="{mac}"), "token": "header:x"},
    "body has a brace": {"body": '{"a": {', "empty_body": True},
    "require has {json:a}, which is not there": {"when": {"header:x": ""}, "require": [("{json:a}", "{url}")]},
}


@pytest.mark.parametrize(("sentence", "keys"), REFUSED.items(), ids=REFUSED)
def test_handshakes_that_make_no_sense(sentence: str, keys: dict[str, Any]) -> None:
    """A handshake that could not be answered, or would answer deliveries, is refused when it is made."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Handshake(**{"kind": "ping", **keys})


EVERYTHING = "".join(
    f"[[sources.x.handshake]]\nkind = '{number}'\n{text}\n"
    for number, text in enumerate(
        [
            "method = 'GET'\nsigned = false\ntoken = 'query:a'\nbody = '{token}'",
            "signed = false\nwhen = { 'json:/a' = '1', 'json:/b/0' = '' }\njson = { a = 'b' }",
            "signed = false\nwhen = { 'form:a' = '' }\nrequire = [['{form:a}{json:/b}', '{param:c}']]",
            "signed = false\ntoken = 'json:/token'\njson = { a = '{mac}' }\nmac = { signed = '{token}{param:c}' }",
            "token = 'header:x-token'\nbody = '{token}'",
            "method = 'HEAD'\nsigned = false\nwhen = { 'query:q' = 'true' }",
        ]
    )
)
TABLES = f"[sources.x.params]\nc = 'constant'\n[sources.x.signature]\nheader = 'X-Sig'\n{EVERYTHING}"
TEXT = st.text(max_size=20)
DOCUMENT = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "token"]) | TEXT, inner),
    max_leaves=8,
).map(lambda value: json.dumps(value).encode())


HEADERS = st.tuples(st.sampled_from(["content-type", "x-token", "x-sig", "content-encoding"]), TEXT) | st.just(
    ("content-type", "application/x-www-form-urlencoded")
)


@pytest.fixture
def everything(source: Load) -> Source:
    """Return a source with handshakes of every shape."""
    return source(TABLES)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    query=st.text("aq=&%+0ft \ud7ff", max_size=20) | TEXT,
    headers=st.lists(HEADERS, max_size=3),
    body=st.binary(max_size=40) | DOCUMENT | st.just(b"a=1&b=%ff"),
)
def test_requests_of_any_shape(
    everything: Source, method: str, query: str, headers: list[tuple[str, str]], body: bytes
) -> None:
    """Whatever a request holds, it is answered, a delivery or refused: never another exception."""
    request = Request(method, "/webhooks/x", query, tuple(headers), body, NOW)
    with contextlib.suppress(RequestRejected):
        assert isinstance(verify(request, everything, NOW), Delivery | Reply | Learned)


def test_a_ration() -> None:
    """A ration is used up at once or bit by bit, comes back with time, and is each source's own."""
    ration = Ration(2)
    assert [ration.take("a", NOW) for _ in range(3)] == [True, True, False]
    assert ration.take("b", NOW)
    assert not ration.take("a", NOW + 29_999)
    assert [ration.take("a", NOW + 30_001) for _ in range(2)] == [True, False]
    assert [ration.take("a", NOW + 10**9) for _ in range(3)] == [True, True, False]
    assert not ration.take("a", NOW)
