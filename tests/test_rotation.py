"""Several secrets of one source: labels, ends, and which of them matched."""

from __future__ import annotations

import hmac
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway import rejections
from gateway.handshakes import Handshake, Mac
from gateway.model import Delivery, Reply
from gateway.secret_watch import SecretWatch
from gateway.telemetry.logs import Log
from gateway.verify import verify
from tests.signed import BODIES, NOW, SECRETS, dumps, request, signed, source

PROVIDERS = sorted(BODIES)
OTHER = {"stripe": "whsec_" + "B" * 32, "standard-webhooks": "whsec_" + "B" * 32}
HOUR = 3_600_000


def rotating(provider: str, *, ends: int | None = NOW + HOUR, **more: Any) -> Any:
    """Return a source with a new secret, and the old one that ends."""
    secrets = (OTHER.get(provider, "another secret altogether"), SECRETS[provider])
    return source(provider, secrets=secrets, **{"labels": ("new", "old"), "not_after": (None, ends), **more})


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_secret_matches_until_its_end(provider: str) -> None:
    """In its last millisecond a secret matches; in the next one it is refused as one that has ended, by its label."""
    made = rotating(provider)
    for at in (NOW, NOW + HOUR):
        result = verify(signed(provider, BODIES[provider], at=at), made, at)
        assert isinstance(result, Delivery)
        assert result.secret == "old"
    late = NOW + HOUR + 1
    with pytest.raises(rejections.SecretExpired, match="the secret old, whose not_after has passed") as caught:
        verify(signed(provider, BODIES[provider], at=late), made, late)
    assert SECRETS[provider] not in str(caught.value)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_new_secret_goes_on(provider: str) -> None:
    """After the old one's end the new one matches under its own label, and what nobody signed is a mismatch."""
    made, late = rotating(provider), NOW + HOUR + 1
    new = OTHER.get(provider, "another secret altogether")
    result = verify(signed(provider, BODIES[provider], secret=new, at=late), made, late)
    assert isinstance(result, Delivery)
    assert result.secret == "new"
    stranger = "whsec_" + "C" * 32
    with pytest.raises(rejections.SignatureMismatch):
        verify(signed(provider, BODIES[provider], secret=stranger, at=late), made, late)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_with_every_secret_ended_the_provider_comes_back(provider: str) -> None:
    """A source whose secrets have all ended is answered 503, as the operator has to give one: nothing is lost."""
    made = source(provider, not_after=(NOW - 1,))
    with pytest.raises(rejections.SecretMissing, match="passed its not_after"):
        verify(signed(provider, BODIES[provider]), made, NOW)
    lenient = source(provider, not_after=(NOW - 1,), enforced=False)
    with pytest.raises(rejections.SecretMissing):
        verify(signed(provider, BODIES[provider]), lenient, NOW)


def test_an_ended_secret_signs_no_handshake() -> None:
    """A handshake signed with a secret that has ended is refused."""
    body = dumps({"type": "url_verification", "challenge": "c" * 20})
    made = rotating("slack")
    assert isinstance(verify(signed("slack", body), made, NOW), Reply)
    late = NOW + HOUR + 1
    with pytest.raises(rejections.SecretExpired):
        verify(signed("slack", body, at=late), made, late)


def test_a_label_stays_with_its_secret() -> None:
    """Where the first of several has ended, the second one still has its own label."""
    secrets = ("another secret altogether", SECRETS["github"])
    made = source("github", secrets=secrets, labels=("old", "new"), not_after=(NOW - 1, None))
    result = verify(signed("github", BODIES["github"]), made, NOW)
    assert isinstance(result, Delivery)
    assert result.secret == "new"


@pytest.mark.parametrize("moment", ["signed", "unsigned"])
def test_an_ended_secret_answers_no_handshake(moment: str) -> None:
    """The answer to a handshake is made with the first secret that has not ended."""
    places = {"when": {"json:/kind": "hello"}, "token": "json:/token"}
    shake = Handshake("test", body="{mac}", mac=Mac(), signed=moment == "signed", **places)  # type: ignore[arg-type]
    secrets = ("another secret altogether", SECRETS["github"])
    made = source("github", secrets=secrets, not_after=(NOW - 1, None), handshakes=(shake,))
    body = dumps({"kind": "hello", "token": "abc"})
    sent = signed("github", body) if moment == "signed" else request((), body)
    reply = verify(sent, made, NOW)
    assert isinstance(reply, Reply)
    assert reply.body.decode() == hmac.new(SECRETS["github"].encode(), b"abc", "sha256").hexdigest()


def test_what_is_signed_with_an_ended_secret_is_kept_unless_enforced() -> None:
    """In a migration such a request is kept with its doubt, and with no secret's label."""
    late = NOW + HOUR + 1
    result = verify(signed("github", BODIES["github"], at=late), rotating("github", enforced=False), late)
    assert isinstance(result, Delivery)
    assert (result.verified, result.secret, result.doubt.partition(":")[0]) == (False, None, "secret_expired")


def test_the_end_of_a_secret_is_said_once() -> None:
    """The log names source and label when a secret has ended, once, and again only for another one."""
    made = {"a": rotating("github"), "b": source("github", not_after=(NOW - 1,))}
    with capture_logs() as lines:
        watch = SecretWatch(Log(), made, NOW)
        for at in (NOW, NOW + HOUR, NOW + HOUR + 1, NOW + HOUR + 2):
            watch.look(made, at)
    assert [(line["event"], line["source"], line["secret"]) for line in lines] == [("secret_ended", "a", "old")]
