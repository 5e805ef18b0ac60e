"""The webhooks that are sent: Stripe events of about one size, each with an id of its own, signed as Stripe signs."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

import gateway

SECRET = "whsec_benchmark"  # noqa: S105 - the benchmark's own
PATH = "/webhooks/stripe"
EVENT = b'"stripe/payment_intent.succeeded"'
"""The name of the events that the bodies become, which the event API counts."""

_SAMPLE = Path(gateway.__file__).parent / "dev" / "samples" / "stripe" / "payment_intent.succeeded.json"
_MARK = "evt_benchmark"
_numbers = itertools.count(1)


def bodies(count: int, size: int = 2_800) -> list[bytes]:
    """Return distinct events of `size` bytes, or a few more; the sample's own 1.9 KB are filled up with metadata."""
    before, after = _template(size).split(_MARK.encode())
    run = time.time_ns() // 1_000_000 & 0xFFFFFF
    return [b"%bevt_1SVkLk%06xdIwHu7%08x%b" % (before, run, next(_numbers), after) for _ in range(count)]


def _template(size: int) -> bytes:
    body: dict[str, Any] = orjson.loads(_SAMPLE.read_bytes())["body"]
    body["id"], body["created"] = _MARK, int(time.time())
    body["data"]["object"]["created"] = body["created"] - 60
    metadata = body["data"]["object"]["metadata"] = {}
    wanted = size - len(orjson.dumps(body)) - 16
    if wanted > 10_000:  # noqa: PLR2004 - large bodies are large for a long text, as those with a file in them are
        metadata["attachment"] = "x" * wanted
    else:
        metadata.update({f"order_{number:04}": f"item {number:04} of 8" for number in range(max(0, wanted) // 29)})
    return orjson.dumps(body)


def requests(contents: Iterable[bytes], port: int, path: str = PATH, secret: str = SECRET) -> list[bytes]:
    """Return whole HTTP requests with these bodies, with the headers that Stripe sends, signed now."""
    t = int(time.time())
    return [_request(body, f"127.0.0.1:{port}", path, t, secret) for body in contents]


def _request(body: bytes, host: str, path: str, t: int, secret: str) -> bytes:
    digest = hmac.new(secret.encode(), f"{t}.".encode() + body, hashlib.sha256).hexdigest()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: */*; q=0.5, application/xml\r\nCache-Control: no-cache\r\n"
        "User-Agent: Stripe/1.0 (+https://stripe.com/docs/webhooks)\r\nContent-Type: application/json; charset=utf-8"
        f"\r\nContent-Length: {len(body)}\r\nStripe-Signature: t={t},v1={digest}\r\n\r\n"
    )
    return head.encode() + body
