"""The senders' own libraries for Python, and the gateway, agree on what is genuine."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from slack_sdk.signature import SignatureVerifier
from standardwebhooks import Webhook, WebhookVerificationError
from stripe import SignatureVerificationError, WebhookSignature

from gateway.model import Request
from tests.judges.bodies import TEXT
from tests.judges.sender import MESSAGE, configured, is_genuine, sign, unsigned

Headers = dict[str, str]


@dataclass(frozen=True)
class Judge:
    """One library: how it signs a body at a time (unix seconds), and whether it takes a request."""

    secret: str
    sign: Callable[[str, bytes, int], Headers]
    verify: Callable[[str, bytes, Headers], bool]


def _stripe_sign(secret: str, body: bytes, at: int) -> Headers:
    return {"stripe-signature": WebhookSignature.generate_signature_header(body.decode(), secret, timestamp=at)}


def _stripe_verify(secret: str, body: bytes, headers: Headers) -> bool:
    try:
        return bool(WebhookSignature.verify_header(body.decode(), headers["stripe-signature"], secret, 300))
    except SignatureVerificationError:
        return False


def _slack_sign(secret: str, body: bytes, at: int) -> Headers:
    made = SignatureVerifier(secret).generate_signature(timestamp=str(at), body=body)
    return {"x-slack-request-timestamp": str(at), "x-slack-signature": str(made)}


def _slack_verify(secret: str, body: bytes, headers: Headers) -> bool:
    return SignatureVerifier(secret).is_valid_request(body, headers)


def _standard_sign(secret: str, body: bytes, at: int) -> Headers:
    made = Webhook(secret).sign(MESSAGE, datetime.fromtimestamp(at, UTC), body.decode())
    return {"webhook-id": MESSAGE, "webhook-timestamp": str(at), "webhook-signature": made}


def _standard_verify(secret: str, body: bytes, headers: Headers) -> bool:
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    except ValueError:
        return True  # a body that is not JSON, which it parses after the signature was found good
    return True


JUDGES: Mapping[str, Judge] = {
    "slack": Judge("8f742231b10e8888abcd99yyyzzz85a5", _slack_sign, _slack_verify),
    "standard-webhooks": Judge("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", _standard_sign, _standard_verify),
    "stripe": Judge("whsec_test_secret_of_an_endpoint", _stripe_sign, _stripe_verify),
}


@pytest.mark.parametrize("body", TEXT.values(), ids=TEXT)
@pytest.mark.parametrize("provider", JUDGES)
def test_agreement(tmp_path: Path, provider: str, body: bytes) -> None:
    """Each takes what the other signs, and neither takes it with the body, or the secret, changed."""
    judge = JUDGES[provider]
    source = configured(tmp_path, provider, judge.secret, {})
    blank = unsigned(body, int(time.time() * 1000), "application/json")
    theirs = judge.sign(judge.secret, body, blank.received_at // 1000)
    other = judge.sign(judge.secret[:-4] + "AAAA", body, blank.received_at // 1000)

    def verdicts(request: Request) -> tuple[bool, bool]:
        return is_genuine(source, request), judge.verify(judge.secret, request.body, dict(request.headers))

    for signed in (sign(source, blank), replace(blank, headers=(*blank.headers, *theirs.items()))):
        assert verdicts(signed) == (True, True)
        assert verdicts(replace(signed, body=body + b" ")) == (False, False)
    assert verdicts(replace(blank, headers=tuple(other.items()))) == (False, False)
