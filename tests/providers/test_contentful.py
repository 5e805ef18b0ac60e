"""Contentful signs method, path, the headers that it lists, and the body."""

import hashlib
import hmac

import pytest

from gateway.model import Delivery, Request
from gateway.rejections import (
    HeaderMalformed,
    HeaderMissing,
    HeaderRepeated,
    MethodNotAllowed,
    RequestRejected,
    SignatureMismatch,
    SignatureMissing,
    TimestampInFuture,
    TimestampMalformed,
    TimestampStale,
)
from gateway.verify import verify
from tests.signed import source

SECRET = "c" * 64
SENT = 1_700_000_000_123
BODY = b'{"sys":{"id":"e1","type":"Entry","updatedAt":"2023-11-14T22:13:19.5Z"}}'
URL = "https://hooks.example.com/gateway/webhooks/x"
LISTED = "x-contentful-signed-headers,x-contentful-timestamp,x-contentful-topic"
TOPIC = "ContentManagement.Entry.publish"


def signed(
    *, secret: str = SECRET, path: str = "/gateway/webhooks/x", listed: str = LISTED, sent: str = str(SENT)
) -> Request:
    """Sign as Contentful's toolkit does: headers sorted by name, `name:value` joined by semicolons."""
    headers = {
        "x-contentful-signed-headers": listed,
        "x-contentful-timestamp": sent,
        "x-contentful-topic": TOPIC,
    }
    canonical = ";".join(f"{name}:{headers[name]}" for name in sorted(listed.split(",")) if name in headers)
    text = f"POST\n{path}\n{canonical}\n".encode() + BODY
    signature = hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()
    given = (*headers.items(), ("x-contentful-signature", signature))
    return Request("POST", "/webhooks/x", "", given, BODY, SENT, URL)


def accept(request: Request, now: int = SENT) -> Delivery:
    """Verify under a source of Contentful."""
    delivery = verify(request, source("contentful", secrets=(SECRET,), name="x"), now)
    assert isinstance(delivery, Delivery)
    return delivery


def changed(request: Request, **values: object) -> Request:
    """Return the request with other values, `headers` by name; a header set to None is left out."""
    headers = dict(request.headers) | values.pop("headers", {})  # type: ignore[operator]
    kept = tuple((name, value) for name, value in headers.items() if value is not None)
    fields = {"method": "POST", "path": "/webhooks/x", "query": "", "body": BODY, "received_at": SENT, "url": URL}
    return Request(headers=kept, **{**fields, **values})  # type: ignore[arg-type]


def test_a_signed_request_is_accepted() -> None:
    """It tells its topic and time, and keeps no signature."""
    delivery = accept(signed())
    assert (delivery.type, delivery.time) == (TOPIC, SENT - 623)
    assert "x-contentful-signature" not in delivery.headers


@pytest.mark.parametrize("now", [SENT - 30_000, SENT + 30_000])
def test_thirty_seconds_are_allowed(now: int) -> None:
    """Clocks may differ by half a minute either way."""
    accept(signed(), now)


def test_a_query_is_escaped_as_a_whole() -> None:
    """The toolkit escapes the query, and what it has escaped once more."""
    request = signed(path="/gateway/webhooks/x?a%253Db%2526c%253Dd")
    accept(changed(request, query="a=b&c=d", url=f"{URL}?a=b&c=d"))


REFUSED: list[tuple[Request, int, type[RequestRejected]]] = [
    (changed(signed(), body=BODY + b" "), SENT, SignatureMismatch),
    (changed(signed(), method="PUT"), SENT, MethodNotAllowed),
    (changed(signed(), url="https://hooks.example.com/webhooks/x"), SENT, SignatureMismatch),
    (changed(signed(), headers={"x-contentful-topic": "other"}), SENT, SignatureMismatch),
    (signed(secret="d" * 64), SENT, SignatureMismatch),
    (changed(signed(), headers={"x-contentful-signature": None}), SENT, SignatureMissing),
    (changed(signed(), headers={"x-contentful-topic": None}), SENT, HeaderMissing),
    (changed(signed(), headers={"x-contentful-signed-headers": None}), SENT, HeaderMissing),
    (changed(signed(), headers={"x-contentful-topic": "caf\xe9"}), SENT, HeaderMalformed),
    (signed(listed="x-contentful-signed-headers,x-contentful-topic"), SENT, HeaderMalformed),
    (signed(listed=f"{LISTED},x-contentful-topic"), SENT, HeaderMalformed),
    (signed(listed=",".join([LISTED, *(f"x-{n}" for n in range(32))])), SENT, HeaderMalformed),
    (signed(sent="yesterday"), SENT, TimestampMalformed),
    (signed(), SENT + 30_001, TimestampStale),
    (signed(), SENT - 30_001, TimestampInFuture),
]


@pytest.mark.parametrize(("request_", "now", "expected"), REFUSED)
def test_anything_else_is_refused(request_: Request, now: int, expected: type[RequestRejected]) -> None:
    """Every part of what is signed decides, and so does the signed time."""
    with pytest.raises(expected):
        accept(request_, now)


def test_a_repeated_header_is_refused() -> None:
    """Of two topics nobody can say which was signed."""
    request = signed()
    twice = Request("POST", "/webhooks/x", "", (*request.headers, ("x-contentful-topic", TOPIC)), BODY, SENT, URL)
    with pytest.raises(HeaderRepeated):
        accept(twice)
