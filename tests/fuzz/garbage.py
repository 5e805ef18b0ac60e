"""Values from grammars: what bodies, headers and queries of strangers look like, from nearly right to hostile."""

from __future__ import annotations

import base64
import gzip
import json
import random
import zlib
from functools import cache
from typing import Any
from urllib.parse import quote, urlencode

TEXTS = (
    "", " ", "0", "-1", "1e3", "1_000", "٣", "null", "true", "NaN", "\0", "\x00\x01", "\r\n", "\ud800", "\udcff",
    "é", "☃", "𝄞", "\u2028", "\ufeff", "%", "%zz", "%00", "../..", "{body}", "{{", "]]", "${HOME}", "'", '"', "\\",
    "a" * 300, "9" * 400, "1700000000", "1700000000000", "2023-11-14T22:13:20Z", "Tue, 14 Nov 2023 22:13:20 GMT",
)  # fmt: skip
MEDIA_TYPES = (
    "application/json", "application/x-www-form-urlencoded", "application/cloudevents+json", "text/plain", "text/xml",
    "multipart/form-data; boundary=b", "multipart/form-data", "application/json; charset=utf-16", "x" * 200, "",
)  # fmt: skip
ENCODINGS = ("gzip", "deflate", "br", "identity", "x-gzip", "gzip, gzip", "", "GZIP ", "\0")
LARGE = 1024 * 1024


def text(rng: random.Random) -> str:
    """Return a text that some reader stumbles over."""
    if rng.random() < 0.8:
        return rng.choice(TEXTS)
    return "".join(chr(rng.choice((rng.randrange(128), rng.randrange(0x3000)))) for _ in range(rng.randrange(20)))


def signature(rng: random.Random) -> str:
    """Return something of a signature's look: the right alphabet and length, and nothing behind it."""
    size = rng.choice((16, 20, 32, 32, 32, 48, 64, 31, 33))
    raw = rng.randbytes(size)
    digest = rng.choice((raw.hex(), raw.hex().upper(), base64.b64encode(raw).decode()))
    form = rng.choice(
        ("{}", "{}", "sha256={}", "sha1={}", "v0={}", "t=1700000000,v1={}", "ts=1700000000;h1={}", "v1,{}", "Basic {}",
         "Bearer {}", "keyId=a,signature={}", "a|{}", "hmac-sha256 {}", "eyJhbGciOiJIUzI1NiJ9.e30.{}", "v1={0},v1={0}")
    )  # fmt: skip
    return form.format(digest)


def value(rng: random.Random) -> str:
    """Return the value of a header or a parameter."""
    return signature(rng) if rng.random() < 0.5 else text(rng)


def document(rng: random.Random, depth: int = 0) -> Any:
    """Return a value that JSON, or Python's idea of it, can hold."""
    kind = rng.randrange(9 if depth < 3 else 6)
    match kind:
        case 0:
            return text(rng).replace("\ud800", "").replace("\udcff", "")
        case 1:
            return rng.choice((0, -1, 2**53 + 1, 2**64, 10**400, 1_700_000_000, True, False))
        case 2:
            return rng.choice((0.1, 1e300, float("nan"), float("inf"), -0.0))
        case 3:
            return None
        case 4 | 5:
            return rng.choice(("id", "evt_1", "created", "2023-11-14T22:13:20Z"))
        case 6:
            return [document(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {
        rng.choice(("id", "type", "event", "data", "", "a/b", "~", "0")): document(rng, depth + 1) for _ in range(3)
    }


def body(rng: random.Random) -> bytes:
    """Return a body of some kind."""
    return rng.choice(_BODIES)(rng)


def query(rng: random.Random) -> str:
    """Return a query string of some kind."""
    pairs = [
        (rng.choice(("a", "id", "token", "hub.challenge", "bodySHA256")), value(rng)) for _ in range(rng.randrange(4))
    ]
    return "&".join(f"{name}={quote(content, errors='replace')}" for name, content in pairs)


def _json(rng: random.Random) -> bytes:
    return json.dumps(document(rng), ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def _form(rng: random.Random) -> bytes:
    names = ("a", "id", "payload", "json", "bt_signature", "bt_payload", "ssl_check", "token", "sig")
    pairs = [(rng.choice(names), value(rng)) for _ in range(rng.randrange(6))]
    return urlencode(pairs, errors="replace").encode()


def _torn_form(rng: random.Random) -> bytes:
    return rng.choice(
        (b"&&&", b"=", b"a=%", b"a=%f", b"a=%ff", b"a;b=c", b"a=1&a=2", b"+=+", b"\xff=\xfe", b"a" * 5_000)
    )


def _noise(rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(200))


def _torn_json(rng: random.Random) -> bytes:
    return rng.choice(
        (b"{", b"[", b'{"a":1,"a":2}', b'{"a":NaN}', b'{"a":1e999}', b'"\\ud800"', b"\xef\xbb\xbf{}", b"nul",
         b'{"a":"\x00"}', b"{}{}", b"[1,]", b"'a'", b"\xff\xfe{\x00}\x00", b"01", b'{"id":"\\u0000"}', b"{}\x00",
         b"1" * 5_000)
    )  # fmt: skip


def _multipart(rng: random.Random) -> bytes:
    name = rng.choice(("json", "payload", "a"))
    part = b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), _json(rng))
    return part * rng.choice((0, 1, 2, 200)) + rng.choice((b"--b--\r\n", b"--b", b""))


def _costly(rng: random.Random) -> bytes:
    return rng.choice(_hostile())


@cache
def _hostile() -> tuple[bytes, ...]:
    """Return bodies made to cost much: many fields, deep or wide documents, long numbers, bombs, and the very limit."""
    forms = [b"&".join(b"f%d=%d" % (number, number) for number in range(count)) for count in (999, 1_001, 10_000)]
    escaped = b"a=" + b"%41" * 300_000
    deep = [
        form
        for depth in (500, 1_100, 100_000)
        for form in (b"[" * depth + b"]" * depth, b'{"a":' * depth, b"[" * depth)
    ]
    wide = b"{" + b",".join(b'"k%d":%d' % (number, number) for number in range(50_000)) + b"}"
    numbers = [b'{"id":%s,"type":[%s0]}' % (b"7" * digits, b"1e5," * 100) for digits in (20, 4_300, 5_000, 1_000_000)]
    limits = [b'{"id":"%s"}' % (b"x" * (LARGE + more - 9)) for more in (-1, 0, 1)]
    plain = (b"0" * 20_000_000, b"[" * 900_000, b"a=b&" * 200_000, b'{"id":"a"}')
    bombs = [press(content, 1) for content in plain for press in (gzip.compress, zlib.compress)]
    parts = b'--b\r\nContent-Disposition: form-data; name="json"\r\n\r\n{}\r\n' * 20_000
    colons = b'{"a":"%s"}' % (b"\\u0041" * 150_000)
    return (*forms, escaped, *deep, wide, *numbers, *limits, *bombs, parts, colons, b"\n" * LARGE, b"--b\r\n" * 150_000)


_BODIES = (_json, _json, _json, _form, _form, _torn_form, _noise, _torn_json, _multipart) * 10 + (_costly,) * 4
