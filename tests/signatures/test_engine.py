"""The signature engine: hostile headers, the window, keys and schemes."""

import hashlib
import hmac
import re
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import rejections, template
from gateway.model import Request
from gateway.scheme import Algorithm, Encoding, Method, Scheme, TimestampUnit
from gateway.signatures import check, sign

NOW = 1_700_000_000_000
KEY = b"an example key of thirty-two byt"
BODY = b'{"a":1}'
FAR = 10**10

PLAIN = Scheme(header="X-Signature", prefix="sha256=")
TIMED = Scheme(
    header="X-Signature",
    separator=",",
    assign="=",
    key="v1",
    signed="{timestamp}.{body}",
    timestamp="sig:t",
    tolerance_seconds=300,
)
NAMED = Scheme(
    header="X-Signature",
    encoding="base64",
    signed="{id}.{timestamp}.{body}",
    id="header:X-Id",
    timestamp="header:X-Time",
)


def request(*headers: tuple[str, str], body: bytes = BODY) -> Request:
    """Make a request with these headers."""
    return Request("POST", "/webhooks/x", "", tuple((name.lower(), value) for name, value in headers), body, NOW)


def mac(message: bytes, key: bytes = KEY) -> str:
    """Return the HMAC-SHA256 in hex, by the standard library alone."""
    return hmac.new(key, message, hashlib.sha256).hexdigest()


def timed(at_ms: int, *, signed_at: int | None = None) -> Request:
    """Make a request of the TIMED scheme that says it was signed at `at_ms`."""
    t = (at_ms if signed_at is None else signed_at) // 1000
    return request(("X-Signature", f"t={at_ms // 1000},v1={mac(f'{t}.'.encode() + BODY)}"))


GOOD = "sha256=" + mac(BODY)


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ([], rejections.SignatureMissing),
        ([("X-Signature", "")], rejections.SignatureMissing),
        ([("X-Signature", mac(BODY))], rejections.SignatureMissing),
        ([("X-Signature", "sha256=")], rejections.SignatureMalformed),
        ([("X-Signature", "sha256=zz")], rejections.SignatureMalformed),
        ([("X-Signature", GOOD[:-2])], rejections.SignatureMalformed),
        ([("X-Signature", GOOD + "00")], rejections.SignatureMalformed),
        ([("X-Signature", GOOD + " ")], rejections.SignatureMalformed),
        ([("X-Signature", "sha256=" + mac(b"other"))], rejections.SignatureMismatch),
        ([("X-Signature", "sha256=" + mac(BODY, b"other key"))], rejections.SignatureMismatch),
        ([("X-Signature", GOOD), ("X-Signature", GOOD)], rejections.HeaderRepeated),
        ([("X-Signature", GOOD + "\u00e9")], rejections.HeaderMalformed),
        ([("X-Signature", GOOD + "\udcff")], rejections.HeaderMalformed),
        ([("X-Signature", "a" * 5_000)], rejections.HeaderMalformed),
    ],
)
def test_refused_signature_header(headers: list[tuple[str, str]], error: type[rejections.RequestRejected]) -> None:
    """Each way a signature header can be wrong has a reason of its own."""
    with pytest.raises(error):
        check(request(*headers), PLAIN, [KEY], NOW)


def test_upper_case_hex_is_taken() -> None:
    """Hex is the same digest in either case."""
    check(request(("X-Signature", "sha256=" + mac(BODY).upper())), PLAIN, [KEY], NOW)


@pytest.mark.parametrize(
    ("offset", "error"),
    [
        (-300_000, None),
        (300_000, None),
        (-301_000, rejections.TimestampStale),
        (301_000, rejections.TimestampInFuture),
        (86_400_000, rejections.TimestampInFuture),
    ],
)
def test_window_is_two_sided(offset: int, error: type[rejections.RequestRejected] | None) -> None:
    """A signed time is taken within the tolerance on either side of now, and refused beyond."""
    if error is None:
        assert check(timed(NOW + offset), TIMED, [KEY], NOW).timestamp == NOW + offset
        return
    with pytest.raises(error):
        check(timed(NOW + offset), TIMED, [KEY], NOW)


def test_unsigned_clock_decides_nothing() -> None:
    """A wrong signature is reported as such even when its timestamp is stale as well."""
    with pytest.raises(rejections.SignatureMismatch):
        check(timed(NOW - 10**9, signed_at=NOW), TIMED, [KEY], NOW)


@pytest.mark.parametrize(
    "text", ["", "abc", "1.5", "+1700000000", "1_700", " 1700000000", "\u0661\u0667", "9" * 5_000, "-1"]
)
def test_timestamp_grammar_is_strict(text: str) -> None:
    """Only plain ASCII digits are a timestamp, whatever int() would take."""
    with pytest.raises(rejections.VerificationError):
        check(request(("X-Signature", f"t={text},v1={mac(f'{text}.'.encode() + BODY)}")), TIMED, [KEY], NOW)


def test_repeated_field_is_unusable() -> None:
    """Two timestamps in one header leave nothing to rely on."""
    good = mac(f"{NOW // 1000}.".encode() + BODY)
    with pytest.raises(rejections.SignatureMalformed):
        check(request(("X-Signature", f"t=1,t={NOW // 1000},v1={good}")), TIMED, [KEY], NOW)


def test_any_of_several_signatures_and_secrets() -> None:
    """During a rotation one good signature among several suffices, and the secret that made it is named."""
    good = mac(f"{NOW // 1000}.".encode() + BODY)
    header = f"t={NOW // 1000},v1={'0' * 64},v1={good},v0=whatever"
    assert check(request(("X-Signature", header)), TIMED, [b"old key", KEY], NOW).secret == 1


def test_many_signatures_are_refused() -> None:
    """A header stuffed with signatures is refused before any is compared."""
    header = f"t={NOW // 1000}," + ",".join(["v1=" + "0" * 64] * 17)
    with pytest.raises(rejections.SignatureMalformed):
        check(request(("X-Signature", header)), TIMED, [KEY], NOW)


@pytest.mark.parametrize("keys", [[], [b""], [b"\0\0"]])
def test_without_a_usable_secret_nothing_verifies(keys: list[bytes]) -> None:
    """An empty key, or one that pads to the empty key, never verifies anything."""
    header = "sha256=" + hmac.new(b"", BODY, hashlib.sha256).hexdigest()
    with pytest.raises(rejections.SecretMissing):
        check(request(("X-Signature", header)), PLAIN, keys, NOW)


def test_separator_inside_a_signed_field_is_refused() -> None:
    """An id that holds the separator could be read as two fields."""
    received = request(("X-Id", "a.b"), ("X-Time", str(NOW // 1000)), ("X-Signature", "A" * 43 + "="))
    with pytest.raises(rejections.HeaderMalformed):
        check(received, NAMED, [KEY], NOW)


@pytest.mark.parametrize("missing", ["X-Id", "X-Time"])
def test_missing_part_of_the_signed_content(missing: str) -> None:
    """A header that is part of what is signed must be there."""
    headers = {"X-Id": "a", "X-Time": str(NOW // 1000), "X-Signature": "A" * 43 + "="}
    del headers[missing]
    with pytest.raises(rejections.HeaderMissing):
        check(request(*headers.items()), NAMED, [KEY], NOW)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"signed": "{timestamp}.{body}"}, "timestamp does not say where it is"),
        ({"signed": "{body}{nonsense}"}, "unknown placeholder {nonsense}"),
        ({"signed": "{body"}, "brace"),
        ({"signed": "constant"}, "holds no part of the request"),
        ({"timestamp": "body:t"}, "is not a locator; write header:<name>"),
        ({"timestamp": "sig:t"}, "needs assign and key"),
        ({"assign": "="}, "belong together"),
        ({"header": "X Signature"}, "not a header name"),
        ({"at": "json:/a"}, "exactly one of header and at"),
        ({"header": "", "at": "json:/a"}, "which holds the signature"),
        ({"header": "", "at": "header:a"}, "cannot be at"),
        ({"header": "", "at": "json:/a", "also": ("X",)}, "belong to header"),
        ({"header": "", "at": "json:a", "signed": "{json:/b}"}, "not a JSON pointer"),
        ({"algorithm": "crc32"}, "algorithm is none of 'sha256'"),
        ({"tolerance_seconds": -1}, "tolerance_seconds is negative"),
        ({"numbered": 101}, "numbered is not between"),
        ({"positional": ("t",)}, "set separator"),
        ({"positional": ("t", "t"), "separator": ","}, "names an item twice"),
        ({"assign": "=", "key": "{body}"}, "neither a plain text nor {param:<name>}"),
        ({"signed": "{sig:t}{body}"}, "needs assign and key, or positional"),
        ({"assign": "=", "key": "v1", "signed": "{sig:v1}{body}"}, "is the signature itself"),
        ({"signed": "{body|rot13}"}, "unknown filter 'rot13'"),
        ({"signed": "{body?}"}, "cannot be absent"),
        ({"signed": "[[{body}"}, "without its counterpart"),
        ({"signed": "{body}]]"}, "without its counterpart"),
        ({"signed": "[[a[[{body}]]]]"}, "without its counterpart"),
        ({"signed": "{json:/a~2}{body}"}, "not a JSON pointer"),
        ({"signed": "{secret}{body}"}, 'with method = "hash" alone'),
        ({"method": "hash"}, "without {secret}"),
        ({"method": "token", "signed": "{url}"}, "mean nothing"),
        ({"method": "basic"}, "reads the Authorization header"),
        ({"method": "jwt-hs256"}, "without claim"),
        ({"claim": "h"}, "belong to method"),
        ({"timestamp": "header:X-Time"}, "which signed does not cover"),
        ({"require": (("a", "b"),)}, "compares two texts"),
        ({"each": "form:a"}, "is no array"),
        ({"each": "json:/a"}, "name values within an item"),
        ({"signed": "{header:a b}{body}"}, "not a header name"),
    ],
)
def test_scheme_that_cannot_be_evaluated(keys: dict[str, Any], sentence: str) -> None:
    """A scheme is checked when it is made, so that no request meets a broken one."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Scheme(**{"header": "X-Signature", **keys})


@pytest.mark.parametrize(
    ("keys", "secret"),
    [
        ({"secret_encoding": "hex"}, "0xyz!"),
        ({"secret_encoding": "base64"}, "n*t base64"),
        ({}, ""),
        ({"secret_prefix": "whsec_", "secret_encoding": "base64"}, "whsec_"),
    ],
)
def test_key_that_cannot_be_decoded(keys: dict[str, Any], secret: str) -> None:
    """A secret of the wrong form is a sentence that does not hold the secret."""
    with pytest.raises(ValueError, match=r"^the secret is") as caught:
        Scheme(header="X", **keys).decode_key(secret)
    assert not secret or secret not in str(caught.value)


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=80).filter(lambda key: bool(key.strip(b"\0"))))
def test_what_is_signed_verifies_and_nothing_else(body: bytes, key: bytes) -> None:
    """A signed body verifies whatever its bytes are, and does not with one bit changed."""
    for scheme in (PLAIN, TIMED, NAMED):
        received = request(("X-Id", "id-1"), ("X-Time", str(NOW // 1000)), body=body)
        fields = {"t": str(NOW // 1000)} if scheme is TIMED else {}
        value = sign(received, scheme, key, fields)
        signed = replace(received, headers=(*received.headers, ("x-signature", value)))
        assert check(signed, scheme, [key], NOW).secret == 0
        with pytest.raises(rejections.SignatureMismatch):
            check(replace(signed, body=body + b"\0"), scheme, [key], NOW)


TEXT = st.text(st.characters(codec=None, exclude_categories=[]), max_size=120)


@given(
    scheme=st.sampled_from([PLAIN, TIMED, NAMED]),
    headers=st.lists(st.tuples(st.sampled_from(["x-signature", "x-id", "x-time"]), TEXT | st.just(GOOD)), max_size=5),
    body=st.binary(max_size=50),
)
def test_hostile_headers_are_refused_cleanly(scheme: Scheme, headers: list[tuple[str, str]], body: bytes) -> None:
    """Whatever the headers hold, the engine raises RequestRejected and nothing else."""
    with pytest.raises(rejections.RequestRejected):
        check(request(*headers, body=body + b"!"), scheme, [KEY], NOW)


def test_every_key_is_explained() -> None:
    """docs/signatures.md explains every key of a scheme and every word that a key may have."""
    text = (Path(__file__).parents[2] / "docs" / "signatures.md").read_text()
    assert [key.name for key in fields(Scheme) if key.init and f"`{key.name}`" not in text] == []
    words = [*get_args(Method), *get_args(Algorithm), *get_args(Encoding), *get_args(TimestampUnit), *template.FILTERS]
    assert [word for word in words if f"`{word}`" not in text and f"|{word}}}" not in text] == []
    assert [kind for kind in template.PLAIN | template.SORTED | template.NAMED if f"{{{kind}" not in text] == []
