"""Sentences about a delivery's failure do not repeat what it holds."""

from typing import Any

import orjson
import pytest

from gateway.model import Delivery
from gateway.withheld import withhold

LONG = "a very long text of a customer that no sentence repeats as a whole"
PAYLOAD = {
    "id": "evt_123",
    "type": "invoice.paid",
    "plan": "free",
    "customer": {"email": "ada@example.com", "lines": ["a\nb c d", LONG]},
    "amount": 123456,
    "rate": 0.875,
    "live": True,
    "nothing": None,
}


def delivery(content: bytes, media_type: str = "application/json") -> Delivery:
    """Make a delivery of some content."""
    headers = {"content-type": media_type}
    return Delivery("stripe", "stripe", "evt_123", "invoice.paid", 0, content, headers=headers, content=content)


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("raised KeyError: 'plan' (m.py:3)", "raised KeyError: 'plan' (m.py:3)"),
        ("invalid literal for int(): 'ada@example.com'", "invalid literal for int(): '…'"),
        ("no plan free for 123456 at 0.875", "no plan … for … at …"),
        ("odd text 'a\\nb c d'", "odd text '…'"),
        ("odd text a b c d", "odd text …"),
        (f"odd text {LONG[:40]}…", "odd text ……"),
        ("odd type invoice.paid of evt_123", "odd type invoice.paid of evt_123"),
        ("True is None", "True is None"),
    ],
)
def test_values_are_left_out_and_keys_are_not(sentence: str, told: str) -> None:
    """Whatever was written in the payload is left out, in the ways in which Python writes it."""
    assert withhold(sentence, delivery(orjson.dumps(PAYLOAD))) == told


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"token=secret-value&x=1", "application/x-www-form-urlencoded"),
        (b"{broken secret-value", "application/json"),
        (b"secret-value", "text/plain"),
        (b'["secret-value"]', "text/plain"),
        (b'"secret-value"', "application/json"),
    ],
)
def test_whatever_the_form_of_the_body(content: bytes, media_type: str) -> None:
    """Forms, broken JSON and plain texts have values too."""
    assert withhold("failed on secret-value", delivery(content, media_type)) == "failed on …"


def test_depth_costs_no_recursion() -> None:
    """A payload nested as deeply as JSON is taken is walked."""
    document: Any = "deep-value"
    for _ in range(200):
        document = [document]
    assert withhold("on deep-value", delivery(orjson.dumps(document))) == "on …"
