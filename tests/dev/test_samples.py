"""The sample webhooks look as their providers send them and are fresh each time."""

import json
import random
import re
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl

import pytest

from gateway import providers
from gateway.dev import samples
from gateway.dev.samples import Sample, make, types
from gateway.locators import Content
from gateway.model import Request
from gateway.signatures import Proof
from tests.dev.conftest import NOW

ALL = [(provider, kind) for provider in samples.providers() for kind in types(provider)]
FRESH = re.compile(
    r"evt_1\w{23}|evt_test_65\w{48}|Ev0\w{8}|\d{13}\.\d{12}\.[0-9a-f]{32}|msg_\w{27}|acme_\w{20}"
    r"|\b[0-9a-f]{40}\b|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+]\d\d:\d\d)?|\b\d{10}(?:\d{3}|\.\d{6})?\b"
    r"|(?<![0-9a-f])[0-9a-f]{32}\b|(?<![^\W_])[A-Za-z0-9]{24}\b"
)
REQUIRED_HEADERS = {
    "stripe": {"user-agent": r"Stripe/1\.0 .*", "content-type": r"application/json; charset=utf-8"},
    "slack": {"user-agent": r"Slackbot 1\.0 .*"},
    "github": {"x-github-event": r"push|pull_request", "x-github-delivery": r"[0-9a-f-]{36}"},
    "shopify": {
        "x-shopify-topic": "orders/create",
        "x-shopify-webhook-id": "[0-9a-f-]{36}",
        "x-shopify-event-id": "[0-9a-f-]{36}",
        "x-shopify-triggered-at": r"2026-11-21T03:00:00\.123\d{6}Z",
    },
    "standard-webhooks": {"webhook-id": r"msg_\w{27}"},
    "hmac": {"content-type": "application/json"},
}


def sample(provider: str, kind: str | None = None, *, now: int = NOW, seed: int = 1) -> Sample:
    """Make a sample with a seeded generator."""
    return make(provider, kind, now=now, rng=random.Random(seed))


def parsed(one: Sample) -> Any:
    """Parse a body as its content type says."""
    if not dict(one.headers)["content-type"].startswith("application/x-www-form-urlencoded"):
        return json.loads(one.body)
    form = dict(parse_qsl(one.body.decode(), strict_parsing=True))
    return json.loads(form["payload"]) if "payload" in form else form


@pytest.mark.parametrize(
    ("provider", "default"),
    [
        ("stripe", "customer.created"),
        ("slack", "message"),
        ("github", "push"),
        ("shopify", "orders/create"),
        ("standard-webhooks", "invoice.paid"),
        ("hmac", "order.created"),
    ],
)
def test_every_provider_has_a_default(provider: str, default: str) -> None:
    """The first type is what one gets without naming one."""
    assert types(provider)[0] == default
    assert sample(provider) == sample(provider, default)


def test_every_file_is_a_sample() -> None:
    """Nothing lies in the folder that no type leads to, and every provider has samples."""
    folder = resources.files("gateway.dev") / "samples"
    files = {(provider.name, file.name) for provider in folder.iterdir() for file in provider.iterdir()}
    assert files == {(provider, f"{re.sub('[/:]', '.', kind)}.json") for provider, kind in ALL}
    assert {provider for provider, _ in ALL} == set(samples.providers())


@pytest.mark.parametrize(("provider", "kind"), ALL)
def test_a_sample_is_of_realistic_size_and_kind(provider: str, kind: str) -> None:
    """It parses, has up to six kilobytes, of whole ones at least one, and the provider's own headers."""
    one = sample(provider, kind)
    assert isinstance(parsed(one), dict | list)
    assert b"{{" not in one.body
    assert (1_000 if provider in REQUIRED_HEADERS and not kind.startswith("v1.") else 200) <= len(one.body) <= 6_000
    headers = dict(one.headers)
    assert all(re.fullmatch(pattern, headers[name]) for name, pattern in REQUIRED_HEADERS.get(provider, {}).items())
    assert all(name == name.lower() and value.isascii() for name, value in one.headers)


@pytest.mark.parametrize(("provider", "kind"), ALL)
def test_the_same_moment_and_seed_make_the_same_sample(provider: str, kind: str) -> None:
    """Nothing but the clock and the generator decides."""
    assert sample(provider, kind) == sample(provider, kind)


@pytest.mark.parametrize(("provider", "kind"), ALL)
def test_two_samples_differ_in_ids_and_times_only(provider: str, kind: str) -> None:
    """Ids and times are fresh, and so no two bodies whose id is not signed are equal; everything else is constant."""
    one, other = sample(provider, kind), sample(provider, kind, now=NOW + 61_001, seed=2)
    assert one.body != other.body
    id_is_signed = any(scheme.id for scheme in providers.get(provider).schemes)
    assert id_is_signed or one.body != sample(provider, kind, seed=2).body
    assert FRESH.sub("*", json.dumps(parsed(one))) == FRESH.sub("*", json.dumps(parsed(other)))
    assert FRESH.sub("*", repr(one.headers)) == FRESH.sub("*", repr(other.headers))


@pytest.mark.parametrize(("provider", "kind"), [one for one in ALL if providers.get(one[0]).describe])
def test_the_provider_finds_a_fresh_id_and_the_type(provider: str, kind: str) -> None:
    """The gateway's own description of the provider reads the sample, and two samples are two deliveries."""
    facts = [describe(sample(provider, kind, seed=seed)) for seed in (1, 2)]
    assert facts[0].id
    assert facts[0].id != facts[1].id
    assert facts[0].type == kind
    assert facts[0].time is None or NOW // 1000 <= facts[0].time // 1000 <= NOW // 1000 + 1


def describe(one: Sample) -> Any:
    """Let the provider describe a sample."""
    provider = providers.get(one.provider)
    assert provider.describe is not None
    request = Request("POST", "/webhooks/x", "", one.headers, one.body, NOW)
    return provider.describe(Content(request, one.body), Proof(secret=0))


@pytest.mark.parametrize("kind", [kind for kind in types("stripe") if not kind.startswith("v1.")])
def test_stripe_snapshots(kind: str) -> None:
    """They are indented by two, empty containers spread over lines, and say their type, time and version."""
    one = sample("stripe", kind)
    event = json.loads(one.body)
    assert one.body.startswith(b'{\n  "id": "evt_1')
    assert not re.search(rb"\{\}|\[\]", one.body)
    assert re.sub(r"([{\[])\s+([}\]])", r"\1\2", one.body.decode()) == json.dumps(event, indent=2, ensure_ascii=False)
    assert (event["object"], event["type"], event["created"]) == ("event", kind, NOW // 1000)
    assert event["data"]["object"]["object"] == kind.rpartition(".")[0]
    assert event["api_version"]


def test_stripe_spreads_empty_containers() -> None:
    """An empty object takes two lines and an empty list three, as in the bodies whose length Stripe declares."""
    body = sample("stripe", "checkout.session.completed").body
    assert b'"custom_fields": [\n\n      ],\n' in body
    assert b'"metadata": {\n          },\n' in body
    assert b'"metadata": {\n      },\n' in sample("stripe", "customer.created").body


def test_a_stripe_thin_event() -> None:
    """It names the object instead of holding it, and the snapshot event that it goes with."""
    event = json.loads(sample("stripe", "v1.customer.created").body)
    assert (event["object"], event["type"]) == ("v2.core.event", "v1.customer.created")
    assert event["created"] == "2026-11-21T03:00:00.123Z"
    assert event["related_object"]["type"] == "customer"
    assert event["snapshot_event"].startswith("evt_1")
    assert "data" not in event


@pytest.mark.parametrize("kind", ["message", "app_mention"])
def test_slack_events(kind: str) -> None:
    """The envelope holds the event, and the JSON escapes slashes and everything beyond ASCII."""
    one = sample("slack", kind)
    envelope = json.loads(one.body)
    assert (envelope["type"], envelope["event"]["type"]) == ("event_callback", kind)
    assert (envelope["event_time"], envelope["event"]["event_ts"][:14]) == (NOW // 1000, f"{NOW // 1000}.123")
    assert one.body.isascii()
    assert not re.search(rb"(?<!\\)/", one.body)


def test_a_slack_command_that_mentions_a_payload() -> None:
    """Its text holds characters that a form must escape, and the word payload, which is no field."""
    form = parsed(sample("slack", "command"))
    assert form["command"] == "/ship"
    assert {"&", "=", "+", "payload"} - set(form["text"]) - set(re.findall(r"\w+", form["text"])) == {"+"}
    assert "payload" not in form


def test_slack_block_actions() -> None:
    """The interaction is JSON in the form's only field."""
    one = sample("slack", "block_actions")
    assert [name for name, _ in parse_qsl(one.body.decode())] == ["payload"]
    assert parsed(one)["actions"][0]["action_ts"].startswith(f"{NOW // 1000}.")


def test_shopify_escapes_what_html_would_read() -> None:
    """An ampersand is written as an escape, other characters as they are."""
    body = sample("shopify").body
    assert rb"twice \u0026 leave" in body
    assert b"&" not in body
    assert "Beispielstraße".encode() in body


@pytest.mark.parametrize(
    ("provider", "kind", "named"),
    [
        ("stripe", "customer.exploded", "customer.created, invoice.paid"),
        ("github", "issues", "push, pull_request"),
        ("unknown", None, "stripe, slack, github"),
        ("../stripe", "customer.created", "stripe, slack, github"),
    ],
)
def test_an_unknown_type_or_provider_is_a_sentence(provider: str, kind: str | None, named: str) -> None:
    """The message names what there is."""
    with pytest.raises(ValueError, match=re.escape(named)):
        sample(provider, kind)
