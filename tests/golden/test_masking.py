"""What is masked in a delivery that becomes a test, what is kept, and what stands in for it."""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import InvalidPayload
from gateway.golden.fakes import Fakes, is_card
from gateway.golden.masking import Rules, mask
from tests.mapped import delivery

FAKES = Fakes(b"key")
FORM = {"content-type": "application/x-www-form-urlencoded"}


def masked(payload: Any, *, mask_: tuple[str, ...] = (), keep: tuple[str, ...] = (), ids: bool = False) -> Any:
    """Return what a payload is once it is masked, and where that was."""
    made, told = mask(delivery(json.dumps(payload).encode()), Rules(mask_, keep, ids=ids))
    return json.loads(made.body), told


@pytest.mark.parametrize(
    ("payload", "form", "told"),
    [
        ({"to": "Jane.Doe+x@mail.co.uk, you"}, r"[A-Z][a-z]{3}\.[A-Z]..\+[a-z]@example\.com, you", "e-mail address"),
        ({"card": "4242 4242 4242 4242"}, r"4000 00\d\d \d{4} \d{4}", "card number"),
        ({"pan": "378282246310005"}, r"400000\d{9}", "card number"),
        ({"from": "203.0.113.77"}, r"192\.0\.2\.\d+", "IP address"),
        ({"from": "at 2a00:1450:4001::200e"}, r"at 2001:db8::[0-9a-f]+", "IP address"),
        ({"call": "+49 (0)30 1234-5678"}, r"\+99 \(9\)\d\d \d{4}-\d{4}", "phone number"),
        ({"call": "0171 555 1234"}, r"9\d{3} \d{3} \d{4}", "phone number"),
        ({"x": "sk_live_4eC39HqLyjWDarjtT1zdp7dc"}, r"sk_live_\d[a-z][A-Z]\w{21}", "token"),
        ({"x": "eyJhbGciOiJI.eyJzdWIiOiIx.sig-1"}, r"\w+\.\w+\.[a-z]{3}-\d", "token"),
        ({"customer_name": "Jane O'Neill"}, r"[A-Z][a-z]{3} [A-Z]'[A-Z][a-z]{4}", "by its name"),
        ({"apiKey": "abc-123"}, r"[a-z]{3}-\d{3}", "by its name"),
        ({"webhook_secret": "öß"}, r"[a-z]{2}", "by its name"),
        ({"postal_code": "EC1A 1BB"}, r"[A-Z]{2}\d[A-Z] \d[A-Z]{2}", "by its name"),
        ({"ACCESS_TOKEN": "x1"}, r"[a-z]\d", "by its name"),
    ],
)  # fmt: skip
def test_what_is_masked(payload: dict[str, str], form: str, told: str) -> None:
    """What gives itself away by its look or its name is replaced by something of the same kind and told."""
    [(name, before)] = payload.items()
    made, places = masked(payload)
    assert made[name] != before
    assert re.fullmatch(form, made[name])
    assert places == [f"body: {name} ({told})"]


@pytest.mark.parametrize(
    "payload",
    [
        {"id": "evt_4242424242424242", "order_id": 4242424242424242, "customerId": "4242424242424242"},
        {"created": 1700000000000, "at": "2026-01-02T03:04:05Z", "day": "2026-01-02", "ts": "1700000000.123456"},
        {"amount": 1250, "total": "12.50", "currency": "eur", "ok": True, "name": None, "rate": 0.5},
        {"uuid": "0b9a6c1e-3c55-4a52-9d1c-0123456789ab", "sha": "da39a3ee5e6b4b0d3255bfef95601890afd80709"},
        {"number": "4242 4242 4242 4241", "version": "1.2.3", "time": "12:34:56", "password": ""},
        {"event_name": "order.created", "token_id": "tok_1", "action": "opened"},
    ],
)
def test_what_is_kept(payload: dict[str, Any]) -> None:
    """Ids, times, amounts, versions, empty values and the delivery's own type stay, and so do the very bytes."""
    sent = delivery(json.dumps(payload, indent=1).encode())
    assert mask(sent, Rules()) == (sent, [])


def test_numbers_by_name() -> None:
    """A number whose name tells on it becomes one of as many digits."""
    made, told = masked({"phone": 491711234567, "pin": 7})
    assert made["phone"] != 491711234567
    assert [len(str(made[name])) for name in ("phone", "pin")] == [12, 1]
    assert len(told) == 2


def test_everything_inside() -> None:
    """Objects below a name that tells are masked but for their ids; JSON inside a text is masked there."""
    inner = json.dumps({"email": "a@b.de", "n": 1})
    made, told = masked({"address": {"line": "Main St 1", "id": "a-1", "floor": 3}, "raw": inner, "all": ["x@y.de"]})
    assert (made["address"]["id"], made["address"]["line"] != "Main St 1") == ("a-1", True)
    assert json.loads(made["raw"])["email"].endswith("@example.com")
    assert json.loads(made["raw"])["n"] == 1
    assert told == [
        "body: address.floor (by its name)",
        "body: address.line (by its name)",
        "body: all (e-mail address)",
        "body: raw.email (e-mail address)",
    ]


def test_long_runs_of_characters() -> None:
    """A megabyte without a blank, such as a file in base64, takes no longer than it must."""
    made, told = masked({"file": "a1B2" * 250_000})
    assert (len(made["file"]), told) == (1_000_000, [])


def test_keys() -> None:
    """An address that is the name of a field is masked too."""
    [(key, value)] = masked({"a@b.de": 1})[0].items()
    assert (key.endswith("@example.com"), value) == (True, 1)


def test_rules_of_ones_own() -> None:
    """Fields can be masked and kept by name and by path, in the items of lists too."""
    given_payload = {"vat": "DE1", "lines": [{"name": "Bolt", "price": 3}], "name": "Jane", "contact": {"vat": "DE2"}}
    made, told = masked(given_payload, mask_=("contact.vat", "price"), keep=("lines.name",))
    assert (made["vat"], made["lines"][0]["name"]) == ("DE1", "Bolt")
    assert made["contact"]["vat"] != "DE2"
    assert told == [
        "body: contact.vat (by its name)",
        "body: lines.price (by its name)",
        "body: name (by its name)",
    ]


def test_ids() -> None:
    """Ids are masked when asked for, the delivery's own like its equals in the body."""
    sent = delivery(b'{"id": "d-1", "order_id": 4711}')
    made, told = mask(sent, Rules(ids=True))
    assert made.id != "d-1"
    assert made.json()["id"] == made.id
    assert len(str(made.json()["order_id"])) == 4
    assert told == ["body: id (id)", "body: order_id (id)"]


def test_headers_and_query() -> None:
    """Headers and the query are masked as fields are, and the trace is left out."""
    headers = {"x-forwarded-for": "203.0.113.9", "x-api-key": "abc", "user-agent": "curl/8"}
    made, told = mask(delivery(headers=headers, query="email=a%40b.de&page=2", traceparent="00-1-2-01"), Rules())
    assert made.headers["user-agent"] == "curl/8"
    assert made.headers["x-forwarded-for"].startswith("192.0.2.")
    assert made.headers["x-api-key"] != "abc"
    assert (made.params["page"], made.params["email"][-12:], made.traceparent) == ("2", "@example.com", "")
    assert len(told) == 3


def test_forms() -> None:
    """The fields of a form are masked, and the JSON that is in one."""
    body = urlencode({"payload": json.dumps({"user": {"name": "jane"}}), "token": "abc", "text": "hi"}).encode()
    made, _ = mask(delivery(body, headers=FORM), Rules())
    fields = {name: values[0] for name, values in parse_qs(made.body.decode()).items()}
    assert (fields["text"], len(fields["token"]), fields["token"] != "abc") == ("hi", 3, True)
    assert json.loads(fields["payload"])["user"]["name"] not in {"jane", ""}


def test_compressed() -> None:
    """What was compressed is recorded as it is inside."""
    made, _ = mask(delivery(b"\x1f\x8b", content=b"{}", headers={"content-encoding": "gzip"}), Rules())
    assert (made.body, made.content, dict(made.headers)) == (b"{}", b"{}", {})


def test_text() -> None:
    """A body that is no JSON is masked by what gives itself away; one that is no text is refused."""
    assert mask(delivery(b"from a@b.de"), Rules())[0].body.endswith(b"@example.com")
    with pytest.raises(InvalidPayload):
        mask(delivery(b"\xff"), Rules())


NAMES = st.sampled_from(["name", "id", "a.b", "email", "ip", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.emails() | st.ip_addresses().map(str),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)


def shape(value: Any) -> Any:
    """Return a value's types, without names."""
    match value:
        case dict():
            return [shape(item) for item in value.values()]
        case list():
            return [shape(item) for item in value]
    return type(value)


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=5), JSON, max_size=4))
def test_masking_keeps_the_shape_and_is_repeatable(payload: dict[str, Any]) -> None:
    """Types and order stay, and the same delivery gives the same stand-ins."""
    sent = delivery(json.dumps(payload).encode())
    made, told = mask(sent, Rules())
    assert mask(sent, Rules()) == (made, told)
    assert shape(made.json()) == shape(payload)
    assert told or made == sent


@given(st.text(min_size=1), st.text(min_size=1))
def test_equal_values_stay_equal(one: str, other: str) -> None:
    """Values that are equal get equal stand-ins of the same length."""
    made, _ = masked({"name": one, "deep": {"username": one, "surname": other}})
    assert made["name"] == made["deep"]["username"]
    assert "@" in one + other or len(made["name"]) == len(one)


@given(st.integers(10**12, 10**18))
def test_cards_stay_cards(number: int) -> None:
    """The stand-in for a card number has its length and a valid check digit."""
    faked = FAKES.card(str(number))
    assert (len(faked), is_card(faked, any_range=True)) == (len(str(number)), True)


@given(st.ip_addresses(v=4) | st.ip_addresses(v=6))
def test_addresses_are_for_documentation(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    """The stand-in for a machine's address is one that no machine has."""
    assert ipaddress.ip_address(FAKES.ip(str(address))).is_private


@given(st.integers())
def test_numbers_keep_their_digits(number: int) -> None:
    """The stand-in for a number has its sign and as many digits."""
    assert len(str(FAKES.number(number))) == len(str(number))
