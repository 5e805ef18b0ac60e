"""Recordings: a delivery written down and read back."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import recording
from gateway.errors import InvalidPayload
from gateway.model import Delivery
from tests.mapped import delivery

# Header values hold lone surrogates where the bytes on the wire were not UTF-8.
ODD_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)
DELIVERIES = st.builds(
    Delivery,
    source=st.text(max_size=8),
    provider=st.text(max_size=8),
    id=st.text(max_size=20),
    type=st.text(max_size=20),
    received_at=st.integers(),
    body=st.binary(max_size=200),
    content=st.binary(max_size=200),
    time=st.none() | st.integers(),
    version=st.none() | st.text(min_size=1, max_size=5),
    headers=st.dictionaries(st.text(max_size=10), ODD_TEXT, max_size=3),
    query=st.text(max_size=10),
    secret=st.none() | st.text(min_size=1, max_size=8),
    traceparent=st.text(max_size=10),
)


@given(DELIVERIES)
def test_what_is_written_is_read_back(kept: Delivery) -> None:
    """Any delivery survives being recorded, bytes, lone surrogates and all."""
    assert recording.loads(recording.dumps(kept)) == kept


def test_document() -> None:
    """The document is indented, its keys in a fixed order, text as text and absent fields left out."""
    assert recording.dumps(delivery('{"n": "ä"}'.encode(), time=5)).decode().splitlines() == [
        "{",
        '  "source": "acme",',
        '  "provider": "hmac",',
        '  "id": "d-1",',
        '  "type": "order.created",',
        '  "received_at": 1700000000000,',
        '  "time": 5,',
        r'  "body": "{\"n\": \"ä\"}"',
        "}",
    ]


def test_bytes_are_base64() -> None:
    """A body that is not UTF-8 is written in base64; the content only where it differs from the body."""
    document = json.loads(recording.dumps(delivery(b"\xff", content=b"decoded")))
    assert (document["body_base64"], document["content"]) == ("/w==", "decoded")


MINIMAL: dict[str, Any] = {"source": "a", "provider": "hmac", "id": "1", "type": "", "received_at": 1, "body": "x"}


def without(key: str) -> dict[str, Any]:
    """Return the smallest recording less one key."""
    return {name: value for name, value in MINIMAL.items() if name != key}


def test_minimal_document() -> None:
    """Written by hand, a recording needs six keys, and the content is the body."""
    made = recording.loads(json.dumps(MINIMAL).encode())
    assert (made.body, made.content, made.headers) == (b"x", b"x", {})


@pytest.mark.parametrize(
    ("recorded", "sentence"),
    [
        (b"{", "the recording is not JSON in UTF-8"),
        (b"\xff{}", "the recording is not JSON in UTF-8"),
        (b"[" * 100_000, "the recording is not JSON in UTF-8"),
        (b"[]", "the recording is not a JSON object"),
        (MINIMAL | {"bodi": "x"}, "the recording has the unknown key 'bodi'; known are body,"),
        (without("source"), "the recording lacks source"),
        (without("body"), "the recording has no body; give body as text or body_base64"),
        (MINIMAL | {"body_base64": ""}, "the recording has both body and body_base64; give one"),
        (without("body") | {"body_base64": "%"}, "the recording's body_base64 cannot be decoded"),
        (without("body") | {"body_base64": "ä"}, "the recording's body_base64 cannot be decoded"),
        (MINIMAL | {"body": "\ud800"}, "the recording's body cannot be decoded"),
        (MINIMAL | {"body": {"a": 1}}, "the recording's body is of type dict, not str"),
        (MINIMAL | {"received_at": True}, "the recording's received_at is of type bool, not int"),
        (MINIMAL | {"time": "now"}, "the recording's time is of type str, not int"),
        (MINIMAL | {"headers": {"a": 1}}, "the recording's headers are not all text"),
    ],
    ids=str,
)
def test_faults(recorded: bytes | dict[str, Any], sentence: str) -> None:
    """A recording that cannot be read is refused with a sentence that names the key."""
    with pytest.raises(InvalidPayload) as caught:
        recording.loads(recorded if isinstance(recorded, bytes) else json.dumps(recorded).encode())
    assert str(caught.value).startswith(sentence)
