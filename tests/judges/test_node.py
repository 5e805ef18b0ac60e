"""The senders' own libraries for node, and the gateway, agree on what is genuine."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlencode

import pytest

from gateway.dev import key_pairs
from gateway.model import Reply, Request
from gateway.verify import verify
from tests.judges.bodies import FORMS, ITEMS, PAYLOADS, TEXT
from tests.judges.node import NodeJudges
from tests.judges.sender import configured, is_genuine, sign, unsigned
from tests.signed import FORM

pytestmark = pytest.mark.timeout(300)  # of which installing the libraries takes nearly all, and once


@dataclass(frozen=True)
class Row:
    """One provider: how it is configured, what it sends, and what its library does not take.

    `pair` is the kind of key pair whose public half is the secret, `spoilt` what is signed in every body and what it
    is changed to. Where `ours` is false the library wants more of a request than a genuine signature.
    """

    secret: str = "a secret of some thirty-two bytes"
    params: Mapping[str, str] = field(default_factory=dict)
    pair: str = ""
    bodies: Mapping[str, bytes] = field(default_factory=lambda: TEXT)
    media_type: str = "application/json"
    query: str = ""
    without: tuple[str, ...] = ()
    spoilt: tuple[bytes, bytes] | None = None
    ours: bool = True

    @property
    def key(self) -> str:
        """The name of the key, where the library is told one."""
        return next(iter(self.params.values()), "")


STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ROWS = {
    "adyen": Row(
        secret="44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056", bodies=ITEMS, spoilt=(b"EUR", b"USD")
    ),
    "braintree": Row(
        params={"public_key": "public_key_1"}, bodies=PAYLOADS, media_type=FORM, spoilt=(b"=PG5", b"=PG4")
    ),
    "discord": Row(pair="ed25519"),
    "github": Row(secret="It's a Secret to Everybody ☃", without=("empty",)),  # it takes an empty body for none
    "gocardless": Row(),
    "kontent-ai": Row(),
    "line": Row(),
    "messagebird": Row(query="a=1&b=%2F", ours=False),  # it wants a token with an issuer and an id of its own
    "paddle": Row(secret="pdl_ntfset_01gkpjp8bkm3tm53kdgkx6sms7_6h3qd"),
    "razorpay": Row(),
    "sanity": Row(without=("empty",)),  # as GitHub's
    "sendgrid": Row(pair="ecdsa-p256"),
    "shopify": Row(without=("empty",)),  # as GitHub's
    "standard-webhooks": Row(secret=STANDARD),
    "stripe": Row(secret="whsec_test_secret_of_an_endpoint"),
    "svix": Row(secret=STANDARD),
    "twilio": Row(bodies=FORMS, media_type=FORM, query="a=1&b=%2F"),
    "twilio-json": Row(query="bodySHA256={sha256}"),
    "workos": Row(without=("escapes", "crlf", "empty")),  # it writes the document anew before it looks
}


def cases(*, ours: bool) -> list[object]:
    """Return each provider with each body that its library takes; those that it cannot be asked to sign left out."""
    return [
        pytest.param(provider, name, id=f"{provider}-{name}")
        for provider, row in ROWS.items()
        for name in row.bodies
        if name not in row.without and (row.ours if ours else provider not in VERIFIERS)
    ]


# Libraries that make no signatures.
VERIFIERS = {"discord", "gocardless", "line", "paddle", "razorpay", "sendgrid"}


class Case:
    """One provider and one body: the source as its operator configures it, and the request that is yet unsigned."""

    def __init__(self, node: NodeJudges, folder: Path, provider: str, name: str) -> None:
        self.row = ROWS[provider]
        self.private, public = key_pairs.generate(self.row.pair) if self.row.pair else ("", "")
        self.secret = shown(public) if public else self.row.secret
        self.source = configured(folder, provider, self.secret, self.row.params)
        body = self.row.bodies[name]
        query = self.row.query.format(sha256=hashlib.sha256(body).hexdigest())
        self.unsigned = unsigned(body, int(time.time() * 1000), self.row.media_type, query)
        self._node = node
        self._provider = provider

    def require_agreement(self, signed: Request) -> None:
        """Hold that gateway and library both take the request, and neither does when what is signed is changed."""
        assert self._verdicts(signed) == (True, True)
        body = signed.body.replace(*self.row.spoilt, 1) if self.row.spoilt else spoil(signed.body)
        assert body != signed.body
        assert self._verdicts(replace(signed, body=body)) == (False, False)

    def signed_by_library(self) -> Request:
        """Have the library sign the request."""
        made = self._node.sign(self._provider, self.unsigned, self.secret, self.row.key)
        body = made["body"].encode() if "body" in made else self.unsigned.body
        body = urlencode([(name, value) for name, value in made["form"]]).encode() if "form" in made else body
        return replace(self.unsigned, headers=(*self.unsigned.headers, *made.get("headers", {}).items()), body=body)

    def _verdicts(self, request: Request) -> tuple[bool, bool]:
        taken = self._node.verify(self._provider, request, self.secret, self.row.key)
        return is_genuine(self.source, request), taken


def shown(public: str) -> str:
    """Return a public key as its provider shows it: that of Ed25519 as its 32 bytes in hex."""
    der = base64.b64decode(public)
    return der[-32:].hex() if len(der) < 64 else public


def spoil(body: bytes) -> bytes:
    """Change the case of a body's first letter, in which JSON stays JSON and a form a form."""
    at = next((index for index, byte in enumerate(body) if chr(byte).isascii() and chr(byte).isalpha()), None)
    return b"a=1" if at is None else body[:at] + bytes([body[at] ^ 0x20]) + body[at + 1 :]


def test_rows(node: NodeJudges) -> None:
    """Every library is asked, in both directions where it can sign."""
    assert set(node.acts) == set(ROWS)
    assert {name for name, acts in node.acts.items() if "sign" not in acts} == VERIFIERS


@pytest.mark.parametrize(("provider", "name"), cases(ours=True))
def test_signed_by_the_gateway(node: NodeJudges, tmp_path: Path, provider: str, name: str) -> None:
    """What the gateway signs the sender's own library takes."""
    case = Case(node, tmp_path, provider, name)
    case.require_agreement(sign(case.source, case.unsigned, case.private))


@pytest.mark.parametrize(("provider", "name"), cases(ours=False))
def test_signed_by_the_library(node: NodeJudges, tmp_path: Path, provider: str, name: str) -> None:
    """What the sender's own library signs the gateway takes."""
    case = Case(node, tmp_path, provider, name)
    case.require_agreement(case.signed_by_library())


def test_challenge_of_braintree(node: NodeJudges, tmp_path: Path) -> None:
    """The challenge of a new webhook is answered as the sender's own library answers it."""
    row, challenge = ROWS["braintree"], "20f9f8ed05f77439fe955c977e4c8a53"
    source = configured(tmp_path, "braintree", row.secret, row.params)
    asked = replace(unsigned(b"", 0, row.media_type, f"bt_challenge={challenge}"), method="GET")
    reply = verify(asked, source, 0)
    assert isinstance(reply, Reply)
    assert reply.body.decode() == node.shake("braintree", challenge, row.secret, row.key)
