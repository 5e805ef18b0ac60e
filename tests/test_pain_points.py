"""The 36 ways in which people are known to have failed with Stripe's and Slack's webhooks, and what they are told here.

Those that end in a rejection are made and explained; the others are named with where they are held, or why they
cannot happen.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.config import load
from gateway.diagnosis import explain
from gateway.errors import ConfigError
from gateway.model import Request
from gateway.rejections import RequestRejected
from gateway.sources import Source
from gateway.verify import verify
from tests.signed import BODIES, NOW, SECRETS, dumps, request, signed_headers, source

OTHER_STRIPE = "whsec_" + "7" * 32
OTHER_SLACK = "0" * 32

Rejection = tuple[Request, Source]


def event(**more: object) -> bytes:
    """Return a Stripe event as Stripe writes it, indented."""
    known = {"id": "evt_1", "object": "event", "type": "charge.succeeded", "created": 1_699_999_999, "data": {}}
    return json.dumps({**known, **more}, indent=2).encode()


def stripe(body: bytes, *more: tuple[str, str], sent: bytes | None = None, at: int = NOW) -> Rejection:
    """Sign a body with the source's secret and let `sent` arrive in its place, or sign with another secret."""
    headers = signed_headers("stripe", body, secret=OTHER_STRIPE if sent is None else None, at=at)
    return request((*headers, *more), body if sent is None else sent), source("stripe")


def slack(
    body: bytes, *, secret: str = OTHER_SLACK, at: int = NOW, secrets: tuple[str, ...] | None = None
) -> Rejection:
    """Sign a body for Slack."""
    headers = signed_headers("slack", body, secret=secret, at=at)
    return request(headers, body), source("slack", secrets=secrets or ("8f742231b10e8888abcd9900000085a5",))


def from_the_cli() -> Rejection:
    """Make a test event with a v0, as `stripe listen` and `events resend` send it."""
    sent, to = stripe(event(livemode=False))
    headers = tuple((name, f"{value},v0=00" if "signature" in name else value) for name, value in sent.headers)
    return replace(sent, headers=headers), to


def newline() -> Rejection:
    """Sign as a sender whose own copy of the secret ends in a line end."""
    body = event()
    return request(signed_headers("stripe", body, secret=SECRETS["stripe"] + "\n"), body), source("stripe")


def redirected() -> Rejection:
    """Make a POST that a redirect turned into a GET."""
    return replace(request((), b""), method="GET"), source("stripe")


def without(header: str) -> Rejection:
    """Make a request of Slack that lost a header at a proxy."""
    body = BODIES["slack"]
    headers = (*signed_headers("slack", body), ("via", "1.1 nginx"))
    return request(tuple(pair for pair in headers if pair[0] != header), body), source("slack")


CHALLENGE = dumps({"type": "url_verification", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"})

EXPLAINED: list[tuple[int, str, Callable[[], Rejection], list[str]]] = [
    (1, "middleware re-serialised", lambda: stripe(event(), sent=dumps(json.loads(event()))),
     ["indented by 2", "rewrote"]),
    (1, "re-serialised with a loss", lambda: stripe(event(a=1), sent=dumps({**json.loads(event(a=2))})),
     ["bytes of compact JSON", "Stripe sends snapshot events indented", "re-serialised"]),
    (2, "altered by a proxy", lambda: stripe(event(), ("via", "1.1 proxy"), sent=event(a=1)),
     ["through a proxy (via)"]),
    (4, "secret of the CLI", from_the_cli,
     ["livemode = false and the header has a v0", "stripe listen --print-secret"]),
    (5, "test secret on the live endpoint", lambda: stripe(event(livemode=True)), ["livemode = true", "live endpoint"]),
    (6, "Connect", lambda: stripe(event(account="acct_1")), ["Connect endpoint", "its own secret"]),
    (8, "line end in the secret", newline, ["with a line end after it"]),
    (10, "clock", lambda: stripe(event(), sent=event(), at=NOW - 412_000),
     ["412 s behind this host's clock", "300 s", "NTP"]),
    (11, "clock, the other way", lambda: stripe(event(), sent=event(), at=NOW + 412_000),
     ["412 s ahead of", "NTP"]),
    (13, "redirect", redirected, ["redirect turned the POST into a GET", "final URL"]),
    (19, "events resend", from_the_cli, ["stripe listen --print-secret"]),
    (20, "thin event", lambda: stripe(dumps({"object": "v2.core.event"})), ["thin event", "no data.object"]),
    (23, "url_verification", lambda: slack(CHALLENGE),
     ["url_verification", "Signing Secret (not the Client Secret, not the Verification Token)",
      "the app you are configuring"]),
    (23, "the app is named", lambda: slack(dumps({"type": "event_callback", "api_app_id": "A0123456789"})),
     ["app A0123456789"]),
    (23, "bot token as secret", lambda: slack(CHALLENGE, secrets=("xoxb-1234567890-abcdef",)),
     ["a bot token"]),
    (24, "stale", lambda: slack(BODIES["slack"], secret="8f742231b10e8888abcd9900000085a5", at=NOW - 400_000),
     ["2023-11-14T22:06:40Z", "2023-11-14T22:13:20Z", "400 s behind"]),
    (34, "header dropped", lambda: without("x-slack-signature"),
     ["X-Slack-Signature is missing", "headers seen: x-slack-request-timestamp, via"]),
]  # fmt: skip

REFUSED_AT_START = [
    (3, "STRIPE_WEBHOOK_SECRET", "sk_test_1234567890abcdef", ["begins with whsec_", "an API key", "secrets[0]"]),
    (3, "STRIPE_WEBHOOK_SECRET", "we_1234567890abcdef", ["an endpoint's id"]),
    (7, "STRIPE_WEBHOOK_SECRET", None, ["STRIPE_WEBHOOK_SECRET is not set"]),
    (7, "STRIPE_WEBHOOK_SECRET", "", ["STRIPE_WEBHOOK_SECRET is empty"]),
]

ELSEWHERE = {
    9: "each rejection has a log line with reason and sentence: tests/e2e/test_rejections.py",
    12: "signatures are checked over the bytes on the wire, and nothing else is ever made of them: tests/judges",
    14: "`gateway doctor` and `gateway sources` tell the last verified delivery: tests/cli/test_doctor.py",
    15: "re-sends are absorbed and counted: tests/inbox/test_contract_put.py",
    16: "one source takes several secrets, and the log says which one matched: tests/test_verify.py",
    17: "a delivery is claimed in one transaction: tests/inbox/test_contract_put.py",
    18: "two ids for one fact are two deliveries; nothing is rejected",
    21: "nothing arrives, so nothing can be explained here",
    22: "transforms get plain dictionaries",
    25: "missing, malformed, stale and mismatch are labels of their own: tests/test_verify.py",
    26: "re-sends are absorbed: tests/inbox/test_contract_put.py",
    27: "a re-send of what was not kept is kept: tests/e2e/test_pipeline.py",
    28: "new ids are new deliveries; nothing is rejected",
    29: "two subscriptions are two facts with two names; nothing is rejected",
    30: "whatever is signed is taken with 2xx: tests/test_verify.py",
    31: "the gateway answers while what is behind it is stopped",
    32: "headers of retries are kept with the delivery: tests/test_verify.py",
    33: "the fields of a form decide, never a word in it: tests/test_verify.py",
    35: "a bot's own messages are genuine; a transform skips them",
    36: "a trigger_id that died while queued is a property of queueing",
}


@pytest.mark.parametrize(("number", "what", "made", "words"), EXPLAINED)
def test_explained(number: int, what: str, made: Callable[[], Rejection], words: list[str]) -> None:
    """A rejection of this kind is told with its cause and with what to do."""
    sent, to = made()
    label = "method_not_allowed"
    if sent.method == "POST":
        with pytest.raises(RequestRejected) as rejected:
            verify(sent, to, NOW)
        label = rejected.value.label
    findings = explain(sent, label, to, {to.name: to}, NOW)
    told = " ".join(f"{found.sentence} {found.remedy}" for found in findings)
    assert [word for word in words if word not in told] == [], (number, what, told)
    assert not [secret for secret in to.secrets if secret in told]


@pytest.mark.parametrize(("number", "variable", "value", "words"), REFUSED_AT_START)
def test_refused_at_start(number: int, variable: str, value: str | None, words: list[str], tmp_path: Path) -> None:
    """A secret that cannot be one is refused before anything is served."""
    path = tmp_path / "gateway.toml"
    path.write_text(f'[sources.stripe]\nprovider = "stripe"\nsecrets = ["${{{variable}}}"]\n')
    environ = {"INNGEST_EVENT_KEY": "x", **({} if value is None else {variable: value})}
    with pytest.raises(ConfigError) as refused:
        load(path, environ)
    assert [word for word in words if word not in str(refused.value)] == [], number


def test_none_is_forgotten() -> None:
    """Each of the 36 is explained, refused at the start, or said to be elsewhere."""
    numbers = {number for number, *_ in EXPLAINED} | {number for number, *_ in REFUSED_AT_START} | set(ELSEWHERE)
    assert numbers == set(range(1, 37))
    root = Path(__file__).parents[1]
    named = [word for text in ELSEWHERE.values() for word in text.split() if word.startswith("tests/")]
    assert not [name for name in named if not (root / name).exists()]
