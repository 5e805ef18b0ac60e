"""Verification of every provider: what a genuine request becomes, and how each other one is refused."""

import dataclasses
import gzip
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway import rejections
from gateway.delivered import delivered
from gateway.model import Delivery, Reply, Request
from gateway.verify import verify
from tests.signed import BODIES, FORM, NOW, SECRETS, dumps, form, request, signed, signed_headers, source

PROVIDERS = sorted(BODIES)


def accept(received: Request, provider: str, **more: Any) -> Delivery:
    """Verify a request that is a delivery."""
    result = verify(received, source(provider, **more), NOW)
    assert isinstance(result, Delivery)
    return result


@pytest.mark.parametrize(
    ("provider", "expected"),
    [
        ("stripe", ("evt_1", "customer.created", 1_699_999_999_000)),
        ("slack", ("A1:Ev1", "message", 1_699_999_998_000)),
        ("github", ("72d3162e-cc78-11e3-81ab-4c9367dc0958", "push", None)),
        ("shopify", ("98880550-7158-44d4-b7cd-2c97c8a091b5:orders/create", "orders/create", 1_700_000_000_123)),
        ("standard-webhooks", ("msg_1", "invoice.paid", 1_699_999_999_500)),
        ("hmac", ("o-1", "order.created", 1_699_999_999_000)),
    ],
)
def test_genuine_request(provider: str, expected: tuple[str, str, int | None]) -> None:
    """A request signed by an independent implementation becomes a delivery with the provider's id, type and time."""
    delivery = accept(signed(provider, BODIES[provider], ("x-other", "kept")), provider)
    assert (delivery.id, delivery.type, delivery.time) == expected
    assert (delivery.body, delivery.secret, delivery.received_at) == (BODIES[provider], "number-0", NOW)
    assert delivery.headers["x-other"] == "kept"
    assert not [name for name in delivery.headers if "signature" in name or "hmac" in name]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_tampered_body(provider: str) -> None:
    """A body changed after signing does not verify."""
    received = signed(provider, BODIES[provider])
    with pytest.raises(rejections.SignatureMismatch):
        verify(replace(received, body=received.body + b" "), source(provider), NOW)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_wrong_secret(provider: str) -> None:
    """A request signed with another secret does not verify, and the message does not tell the configured one."""
    other = "whsec_" + "B" * 32 if provider in {"stripe", "standard-webhooks"} else "another secret altogether"
    with pytest.raises(rejections.SignatureMismatch) as caught:
        verify(signed(provider, BODIES[provider], secret=other), source(provider), NOW)
    assert SECRETS[provider] not in str(caught.value)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_rotation(provider: str) -> None:
    """While a secret is rotated either one verifies, and the delivery says which did."""
    other = "whsec_" + "B" * 32 if provider in {"stripe", "standard-webhooks"} else "another secret altogether"
    both = (other, SECRETS[provider])
    assert accept(signed(provider, BODIES[provider]), provider, secrets=both).secret == "number-1"


@pytest.mark.parametrize("provider", PROVIDERS)
def test_unsigned(provider: str) -> None:
    """A request without a signature is refused, and the message names the header that was expected."""
    with pytest.raises(rejections.SignatureMissing, match=r"(?i)signature|hmac"):
        verify(request((("content-type", "application/json"),), BODIES[provider]), source(provider), NOW)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_header_of_the_scheme_doubled(provider: str) -> None:
    """A header that decides something is refused when it occurs twice, whichever it is."""
    headers = signed_headers(provider, BODIES[provider])
    deciding = [name for name, _ in headers if not name.startswith(("content", "x-shopify-web"))]
    for name in deciding:
        doubled = (*headers, (name, dict(headers)[name]))
        with pytest.raises(rejections.HeaderRepeated):
            verify(request(doubled, BODIES[provider]), source(provider), NOW)


@pytest.mark.parametrize("provider", ["stripe", "slack", "standard-webhooks", "hmac"])
@pytest.mark.parametrize(
    ("offset", "error"), [(-301_000, rejections.TimestampStale), (301_000, rejections.TimestampInFuture), (0, None)]
)
def test_window(provider: str, offset: int, error: type[rejections.RequestRejected] | None) -> None:
    """A genuine request is refused outside the window, past and future, for every scheme that signs a time."""
    received = signed(provider, BODIES[provider], at=NOW + offset)
    if error is None:
        accept(received, provider)
        return
    with pytest.raises(error):
        verify(received, source(provider), NOW)


@pytest.mark.parametrize(
    "provider", [name for name in PROVIDERS if name not in {"stripe", "slack", "standard-webhooks"}]
)
def test_body_that_is_not_utf8(provider: str) -> None:
    """A signed body that cannot be the provider's is refused as malformed."""
    body = b'{"id": "\xff"}'
    with pytest.raises(rejections.BodyMalformed):
        verify(signed(provider, body), source(provider), NOW)


@pytest.mark.parametrize("provider", ["stripe", "standard-webhooks"])
def test_body_that_is_not_utf8_and_cannot_be_signed(provider: str) -> None:
    """Where the provider's own signer cannot sign such a body, it is refused all the same."""
    with pytest.raises(rejections.RequestRejected):
        verify(signed(provider, b'{"id": "\xff"}'), source(provider), NOW)


@pytest.mark.parametrize("body", [b"", b"not json", b"[" * 100_000, b'{"id": NaN}', b"\xef\xbb\xbf{}"])
def test_body_that_is_not_json(body: bytes) -> None:
    """A signed body that is not strict JSON is refused where the provider sends JSON."""
    for provider in ("stripe", "slack", "standard-webhooks", "hmac"):
        with pytest.raises(rejections.BodyMalformed):
            verify(signed(provider, body), source(provider), NOW)


def test_missing_id_falls_back_to_the_digest() -> None:
    """A delivery without an id of its own is known by the digest of its body, and so still deduplicated."""
    body = dumps({"type": "x"})
    first, second = accept(signed("stripe", body), "stripe"), accept(signed("stripe", body), "stripe")
    assert first.id == second.id
    assert first.id.startswith("sha256:")


@pytest.mark.parametrize("value", ["line\nbreak", "x" * 256, "\x00", "\u2028"])
def test_absurd_id_or_type(value: str) -> None:
    """An id or type that no provider would send cannot reach logs and event names."""
    for field in ("id", "type"):
        with pytest.raises(rejections.BodyMalformed):
            verify(signed("stripe", dumps({"id": "evt_1", "type": "x", field: value})), source("stripe"), NOW)


@pytest.mark.parametrize("value", [None, True, 1.5, [], {}])
def test_id_of_another_kind_counts_as_absent(value: object) -> None:
    """Only text and whole numbers are ids."""
    assert accept(signed("hmac", dumps({"id": value})), "hmac").id.startswith("sha256:")
    assert accept(signed("hmac", dumps({"id": 17})), "hmac").id == "17"


def test_svix_names_of_the_standard_headers() -> None:
    """Standard Webhooks verifies under the svix- family of header names as well."""
    headers = tuple((name.replace("webhook-", "svix-"), value) for name, value in _standard_headers())
    assert accept(request(headers, BODIES["standard-webhooks"]), "standard-webhooks").id == "msg_1"


def test_families_are_not_mixed() -> None:
    """A signature under one family's name does not cover the other family's id."""
    mixed = tuple((name.replace("webhook-id", "svix-id"), value) for name, value in _standard_headers())
    with pytest.raises(rejections.HeaderMissing):
        verify(request(mixed, BODIES["standard-webhooks"]), source("standard-webhooks"), NOW)


def _standard_headers() -> tuple[tuple[str, str], ...]:
    return signed_headers("standard-webhooks", BODIES["standard-webhooks"])


def test_thin_stripe_event() -> None:
    """A thin event arrives on the same URL, keeps its own name and tells its time in ISO 8601."""
    body = dumps(
        {
            "id": "evt_test_65RM",
            "object": "v2.core.event",
            "type": "v1.customer.created",
            "created": "2023-11-14T22:13:19.063Z",
        }
    )
    delivery = accept(signed("stripe", body), "stripe")
    assert (delivery.id, delivery.type, delivery.time) == ("evt_test_65RM", "v1.customer.created", 1_699_999_999_063)
    assert delivery.version is None


@pytest.mark.parametrize(
    "header",
    ["", "garbage", "t=,v1=", "t=abc,v1=00", f"t={NOW // 1000}", f"t={NOW // 1000},v0=" + "0" * 64, "t=1,v1=\u00e9"],
)
def test_stripe_header_out_of_shape(header: str) -> None:
    """It is refused as any other; Stripe's library raises what it does not declare."""
    with pytest.raises(rejections.VerificationError):
        verify(request((("stripe-signature", header),), BODIES["stripe"]), source("stripe"), NOW)


TRIGGER = "398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"


@pytest.mark.parametrize(
    ("fields", "kind", "time"),
    [
        ({"payload": {"type": "block_actions", "api_app_id": "A1", "trigger_id": TRIGGER,
                      "actions": [{"action_ts": "1699999998.5"}]}}, "block_actions", 1_699_999_998_500),
        ({"payload": {"type": "view_closed", "api_app_id": "A1", "user": {"id": "U1"},
                      "view": {"id": "V1", "hash": "h"}}}, "view_closed", None),
        ({"payload": {"type": "interactive_message", "action_ts": "1699999998.5", "callback_id": "c",
                      "user": {"id": "U1"}}}, "interactive_message", 1_699_999_998_500),
        ({"command": "/w", "text": "my payload here", "api_app_id": "A1", "trigger_id": TRIGGER}, "command", None),
    ],
)  # fmt: skip
def test_slack_forms(fields: dict[str, Any], kind: str, time: int | None) -> None:
    """Interactions and commands arrive as forms; their ids are digests, since a trigger_id is a credential."""
    body = form(**fields)
    first = accept(signed("slack", body, ("content-type", FORM)), "slack")
    second = accept(signed("slack", body, ("content-type", FORM + "; charset=utf-8"), at=NOW + 1000), "slack")
    assert (first.type, first.time) == (kind, time)
    assert first.id == second.id
    assert not first.id.startswith("sha256:")
    assert TRIGGER not in first.id


def test_slack_rate_limit_notice() -> None:
    """A notice has no event id, so app, team and minute stand for it."""
    body = dumps(
        {"type": "app_rate_limited", "team_id": "T1", "api_app_id": "A1", "minute_rate_limited": 1_699_999_980}
    )
    delivery = accept(signed("slack", body), "slack")
    assert (delivery.id, delivery.type) == ("A1:T1:rate:1699999980", "app_rate_limited")


def test_slack_challenge_is_answered_after_verification() -> None:
    """The challenge comes back as plain text when its signature holds, and not otherwise."""
    body = dumps({"type": "url_verification", "challenge": "3eZbrw1aB", "token": "x"})
    assert verify(signed("slack", body), source("slack"), NOW) == Reply(body=b"3eZbrw1aB")
    with pytest.raises(rejections.SignatureMissing):
        verify(request((), body), source("slack"), NOW)


@pytest.mark.parametrize("challenge", [None, 7, {}, "x" * 513, "a\nb"])
def test_slack_challenge_of_another_grammar(challenge: object) -> None:
    """Only a short printable text is echoed."""
    body = dumps({"type": "url_verification", "challenge": challenge})
    with pytest.raises(rejections.BodyMalformed):
        verify(signed("slack", body), source("slack"), NOW)


@pytest.mark.parametrize("smuggled", [{}, {"payload": {"type": "block_actions"}}, {"command": "/x"}])
def test_slack_certificate_probe(smuggled: dict[str, object]) -> None:
    """The unsigned probe is answered with nothing, whatever else it holds."""
    body = form(ssl_check="1", token="x", **smuggled)
    assert verify(request((("content-type", FORM),), body), source("slack"), NOW) == Reply()


def test_slack_probe_is_a_field_not_a_substring() -> None:
    """A text that mentions ssl_check=1 is a command like any other, and must be signed."""
    body = form(command="/x", text="ssl_check=1")
    with pytest.raises(rejections.SignatureMissing):
        verify(request((("content-type", FORM),), body), source("slack"), NOW)


def test_gzip_is_decoded_after_verification() -> None:
    """The signature covers the wire bytes; the payload is what they decode to, and both are kept."""
    wire = gzip.compress(BODIES["github"])
    delivery = accept(signed("github", wire, ("content-encoding", "gzip")), "github")
    assert (delivery.body, delivery.content) == (wire, BODIES["github"])
    assert delivery.json() == json.loads(BODIES["github"])


@pytest.mark.parametrize(
    ("wire", "encoding", "error"),
    [
        (gzip.compress(b"0" * 50_000_000, mtime=0), "gzip", rejections.BodyTooLarge),
        (gzip.compress(b"{}", mtime=0)[:-4], "gzip", rejections.EncodingInvalid),
        (gzip.compress(b"{}", mtime=0) + b"more", "gzip", rejections.EncodingInvalid),
        (b"{}", "gzip", rejections.EncodingInvalid),
        (b"{}", "br", rejections.EncodingUnsupported),
        (gzip.compress(gzip.compress(b"{}", mtime=0), mtime=0), "gzip, gzip", rejections.EncodingUnsupported),
    ],
)
def test_hostile_encodings(wire: bytes, encoding: str, error: type[rejections.RequestRejected]) -> None:
    """A bomb, a torn stream and an unknown encoding are refused, each with its reason."""
    with pytest.raises(error):
        verify(signed("github", wire, ("content-encoding", encoding)), source("github"), NOW)


def test_shopify_deliveries_of_one_event_differ_by_topic() -> None:
    """Two topics may share an event id; they are two deliveries, and a re-send of either is not."""
    one = accept(signed("shopify", BODIES["shopify"]), "shopify")
    headers = dict(signed_headers("shopify", BODIES["shopify"])) | {"x-shopify-topic": "orders/paid"}
    other = accept(request(tuple(headers.items()), BODIES["shopify"]), "shopify")
    assert one.id != other.id


def test_unverified_source_takes_everything() -> None:
    """A source that says verify = "none" takes unsigned requests, as it was told to."""
    delivery = accept(request((), BODIES["hmac"]), "hmac", verified=False)
    assert (delivery.id, delivery.secret) == ("o-1", None)


@pytest.mark.parametrize(
    ("provider", "secret", "part"),
    [
        ("stripe", "whsec_abc", None),
        ("stripe", "sk_test_abc", "an API key"),
        ("stripe", "we_123", "an endpoint's id"),
    ],
)
def test_secret_that_cannot_be_the_providers(provider: str, secret: str, part: str | None) -> None:
    """A value of the wrong kind pasted as the secret is named for what it is, without being repeated."""
    check = source(provider).provider.secret_fault
    assert check is not None
    fault = check(secret)
    assert (fault is None) == (part is None)
    assert fault is None or (part in fault and secret not in fault)  # type: ignore[operator]


NAMES = [
    "stripe-signature", "x-slack-signature", "x-slack-request-timestamp", "x-hub-signature-256", "x-github-delivery",
    "x-github-event", "x-shopify-hmac-sha256", "x-shopify-topic", "webhook-id", "webhook-timestamp",
    "webhook-signature", "svix-id", "svix-signature", "x-acme-signature", "x-acme-timestamp", "content-type",
    "content-encoding",
]  # fmt: skip
VALUES = st.one_of(
    st.text(st.characters(codec=None, exclude_categories=[]), max_size=60),
    st.sampled_from([FORM, "gzip", "application/json", "v0=" + "0" * 64, "sha256=" + "0" * 64, "v1,AAAA", "t=1,v1=0"]),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    provider=st.sampled_from(PROVIDERS),
    headers=st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=6),
    body=st.binary(max_size=80) | st.sampled_from(list(BODIES.values())),
)
def test_hostile_requests_never_raise_anything_else(provider: str, headers: list[tuple[str, str]], body: bytes) -> None:
    """Whatever an unsigned request holds, it is refused, or is a certificate probe."""
    try:
        result = verify(request(tuple(headers), body), source(provider), NOW)
    except rejections.RequestRejected as rejection:
        result, status = Reply(), rejection.status
    else:
        status = 400
    assert (result, status // 100) == (Reply(), 4)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(
        st.sampled_from(["id", "type", "created", "event", "event_id", "api_app_id", "view", "actions", "user"]),
        children,
        max_size=4,
    ),
    max_leaves=8,
)  # fmt: skip


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    provider=st.sampled_from(PROVIDERS),
    document=JSON,
    more=st.lists(st.tuples(st.sampled_from(["content-type", "content-encoding", "x-other"]), VALUES), max_size=2),
)
def test_signed_requests_of_any_shape(provider: str, document: Any, more: list[tuple[str, str]]) -> None:
    """Whatever a signed request holds, it is a delivery, a handshake or refused: never another exception."""
    body = dumps(document)
    for content, headers in ((body, ()), (form(payload=document), (("content-type", FORM),))):
        received = signed(provider, content, *headers, *more)
        try:
            result = verify(received, source(provider), NOW)
            assert not isinstance(result, Delivery) or result.id
        except rejections.RequestRejected:
            pass


@pytest.mark.parametrize("provider", PROVIDERS)
def test_the_query_decides_nothing(provider: str) -> None:
    """The query string is not signed, so it changes neither id, type nor time of a delivery."""
    received = signed(provider, BODIES[provider])
    plain = accept(received, provider)
    asked = accept(replace(received, query="id=other&type=other&created=1&webhook-id=x"), provider)
    assert replace(asked, query="") == plain


def test_a_verified_delivery_is_one_like_any_other() -> None:
    """It is equal to one that is made by name, and nobody can change it."""
    fields = {
        "source": "a", "provider": "b", "id": "c", "type": "d", "received_at": 1, "body": b"e", "time": 2,
        "version": "f", "headers": {"g": "h"}, "query": "i", "content": b"j", "secret": "k", "verified": False,
        "doubt": "l", "traceparent": "m", "digest": "n", "signed_at": 3,
    }  # fmt: skip
    made = delivered(*fields.values())  # type: ignore[arg-type]
    assert (type(made), made) == (Delivery, Delivery(**fields))  # type: ignore[arg-type]
    assert {name: getattr(made, name) for name in fields} == fields
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.id = "other"  # type: ignore[misc]
