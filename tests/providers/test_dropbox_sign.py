"""Dropbox Sign puts a JSON document into a field of a multipart form, and signs two values of it."""

import hashlib
import hmac
import json

import pytest

from gateway.model import Delivery, Request
from gateway.rejections import BodyMalformed, RequestRejected, SignatureMismatch, TimestampStale
from gateway.verify import verify
from tests.signed import source

SECRET = "28756073718e93881772d01de4d53aad33d0d13236df3f15be560f0480b3e423"
TIME = "1348177752"
SENT = int(TIME) * 1000


def document(kind: str = "account_confirmed", *, secret: str = SECRET) -> bytes:
    """Make the callback's document, signed over time and type."""
    digest = hmac.new(secret.encode(), f"{TIME}{kind}".encode(), hashlib.sha256).hexdigest()
    event = {"event_time": TIME, "event_type": kind, "event_hash": digest}
    return json.dumps({"account_guid": "6352", "event": event}).encode()


def form(*fields: tuple[str, bytes], boundary: str = "----b1", quoted: str = "") -> Request:
    """Make a multipart request of fields."""
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value + b"\r\n"
        for name, value in fields
    ]
    body = b"".join(parts) + f"--{boundary}--\r\n".encode()
    headers = (("content-type", f"multipart/form-data; boundary={quoted}{boundary}{quoted}"),)
    return Request("POST", "/webhooks/x", "", headers, body, SENT)


def accept(request: Request, now: int = SENT) -> Delivery:
    """Verify under a source of Dropbox Sign."""
    delivery = verify(request, source("dropbox-sign", secrets=(SECRET,), name="x"), now)
    assert isinstance(delivery, Delivery)
    return delivery


@pytest.mark.parametrize("quoted", ["", '"'])
def test_the_field_is_the_payload(quoted: str) -> None:
    """Type, time and payload come from the field; the body is kept as it was sent."""
    request = form(("other", b"x"), ("json", document()), quoted=quoted)
    delivery = accept(request)
    assert (delivery.type, delivery.time) == ("account_confirmed", SENT)
    assert delivery.body == request.body
    assert delivery.json()["account_guid"] == "6352"


def test_another_boundary_is_the_same_delivery() -> None:
    """A re-send, whose boundary is another, has the same delivery id."""
    one, other = (accept(form(("json", document()), boundary=boundary)) for boundary in ("----b1", "----b2"))
    assert one.id == other.id
    assert one.body != other.body


def test_the_document_may_be_the_body() -> None:
    """A callback without a form around it is read as it is."""
    request = Request("POST", "/webhooks/x", "", (("content-type", "application/json"),), document(), SENT)
    assert accept(request).type == "account_confirmed"


WHOLE = form(("json", document()))
REFUSED: list[tuple[Request, int, type[RequestRejected]]] = [
    (form(("json", document(secret="another secret"))), SENT, SignatureMismatch),
    (form(("json", document().replace(b"account_c", b"account_d"))), SENT, SignatureMismatch),
    (WHOLE, SENT + 86_400_001, TimestampStale),
    (form(("other", document())), SENT, BodyMalformed),
    (form(("json", document()), ("json", document())), SENT, BodyMalformed),
    (form(*[("json", b"{}")] * 100), SENT, BodyMalformed),
    (Request("POST", "/", "", WHOLE.headers, WHOLE.body[:-4], SENT), SENT, BodyMalformed),
    (Request("POST", "/", "", WHOLE.headers, b"", SENT), SENT, BodyMalformed),
    (Request("POST", "/", "", (("content-type", "multipart/form-data"),), WHOLE.body, SENT), SENT, BodyMalformed),
    (Request("POST", "/", "", WHOLE.headers, b"------b1\r\n\r\nx\r\n------b1--", SENT), SENT, BodyMalformed),
]


@pytest.mark.parametrize(("request_", "now", "expected"), REFUSED)
def test_anything_else_is_refused(request_: Request, now: int, expected: type[RequestRejected]) -> None:
    """A form that does not hold the field once is malformed, and what is signed decides."""
    with pytest.raises(expected):
        accept(request_, now)


def test_time_grows_with_the_body_alone() -> None:
    """A form of nothing but boundaries, or of one endless part, is refused as fast as it is read."""
    for body in (b"------b1\r\n" * 100_000, b"------b1\r\n" + b"content-disposition: form-data; " * 30_000):
        with pytest.raises(BodyMalformed):
            accept(Request("POST", "/", "", WHOLE.headers, body, SENT))
