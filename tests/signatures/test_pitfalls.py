"""The known ways in which webhook verification goes wrong, each through a configuration as a user writes it."""

import gzip
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import build, errors, rejections
from gateway.config import load
from gateway.model import Request
from gateway.scheme import Scheme
from gateway.signatures import signed_request
from gateway.verify import verify
from tests.configured import Signature, configured

NOW = 1_700_000_000_000
SECONDS = str(NOW // 1000)
SECRET = "an example secret of the tests"
BODY = b'{"a":1}'
URL = "https://hooks.example.com/webhooks/x"
PLAIN: dict[str, Any] = {"header": "X-Sig"}
TIMED: dict[str, Any] = {"header": "X-Sig", "signed": "{timestamp}.{body}", "timestamp": "header:X-Time"}
IN_FORM: dict[str, Any] = {"at": "form:sig", "signed": "{form:a}"}
IN_JSON: dict[str, Any] = {"at": "json:/sig", "signed": "{json:/a}"}


def mac(message: bytes, secret: str = SECRET) -> str:
    """Return the HMAC-SHA256 in hex, by the standard library alone."""
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def request(*headers: tuple[str, str], body: bytes = BODY, query: str = "") -> Request:
    """Make a request with these headers."""
    url = f"{URL}?{query}" if query else URL
    return Request("POST", "/webhooks/x", query, tuple((name.lower(), text) for name, text in headers), body, NOW, url)


def refused(
    folder: Path, signature: Signature, received: Request, *secrets: str
) -> type[rejections.RequestRejected] | None:
    """Return how a gateway of this configuration refuses the request; None when it takes it."""
    try:
        verify(received, configured(folder, signature, secrets or (SECRET,)), NOW)
    except rejections.RequestRejected as error:
        return type(error)
    return None


GOOD = mac(BODY)

HEADERS: list[tuple[str, Mapping[str, Any], Request, type[rejections.RequestRejected] | None]] = [
    ("1 and 6, not ASCII", PLAIN, request(("X-Sig", "é" * 64)), rejections.HeaderMalformed),
    ("6, not UTF-8", PLAIN, request(("X-Sig", "\udcff" * 64)), rejections.HeaderMalformed),
    ("3, truncated", PLAIN, request(("X-Sig", GOOD[:40])), rejections.SignatureMalformed),
    ("3, empty", PLAIN, request(("X-Sig", "")), rejections.SignatureMissing),
    ("4, missing", PLAIN, request(), rejections.SignatureMissing),
    ("5, header twice", PLAIN, request(("X-Sig", GOOD), ("X-Sig", GOOD)), rejections.HeaderRepeated),
    (
        "5, signed header twice",
        TIMED,
        request(("X-Sig", GOOD), ("X-Time", SECONDS), ("X-Time", "1")),
        rejections.HeaderRepeated,
    ),
    (
        "5, query twice",
        {"header": "X-Sig", "signed": "{query:a}{body}"},
        request(("X-Sig", mac(b"1" + BODY)), query="a=1&a=2"),
        rejections.FieldRepeated,
    ),
    ("5, form twice", IN_FORM, request(body=f"a=1&a=2&sig={mac(b'1')}".encode()), rejections.FieldRepeated),
    (
        "7, many signatures",
        {"header": "X-Sig", "separator": ","},
        request(("X-Sig", ",".join([GOOD] * 17))),
        rejections.SignatureMalformed,
    ),
    ("7, a long header", PLAIN, request(("X-Sig", GOOD + "0" * 5_000)), rejections.HeaderMalformed),
    ("12, upper case", PLAIN, request(("X-Sig", GOOD.upper())), None),
    ("12, a blank", PLAIN, request(("X-Sig", GOOD[:32] + " " + GOOD[32:])), rejections.SignatureMalformed),
    ("18, bytes as they are", PLAIN, request(("X-Sig", mac(b"\xff\r\n\0")), body=b"\xff\r\n\0"), None),
]


@pytest.mark.parametrize(
    ("signature", "received", "error"), [row[1:] for row in HEADERS], ids=[row[0] for row in HEADERS]
)
def test_headers(
    tmp_path: Path, signature: Signature, received: Request, error: type[rejections.RequestRejected] | None
) -> None:
    """What is not spelled exactly as the scheme says is refused with the reason of its own."""
    assert refused(tmp_path, signature, received) == error


@pytest.mark.parametrize("secret", ["", "\0\0\0"])
def test_2_empty_secret(tmp_path: Path, secret: str) -> None:
    """A secret that is empty, or one that pads to the empty key, is refused before a request is taken."""
    with pytest.raises(errors.ConfigError):
        configured(tmp_path, PLAIN, [secret])


def test_2_short_secret(tmp_path: Path) -> None:
    """A short secret works, as some senders have no longer ones, and is told of at start."""
    configured(tmp_path, PLAIN, ["0123456789"])
    notes = build.notes(load(tmp_path / "gateway.toml", {"INNGEST_EVENT_KEY": "k", "SECRET_0": "0123456789"}), 0)
    assert "less than 16 bytes" in notes["x"]


@pytest.mark.parametrize(
    ("unit", "text", "error"),
    [
        ("s", SECONDS, None),
        ("s", str(NOW), rejections.TimestampMalformed),
        ("ms", SECONDS, rejections.TimestampMalformed),
        ("ms", str(NOW), None),
        ("s", "00000000", rejections.TimestampMalformed),
        ("s", f"0{SECONDS}", rejections.TimestampMalformed),
        ("s", "1_700_000_000", rejections.TimestampMalformed),
        ("s", "1.7e9", rejections.TimestampMalformed),
        ("iso8601", "2023-11-14T22:13:20Z", None),
        ("iso8601", "2023-11-14T23:13:20+01:00", None),
        ("iso8601", "2023-11-31T22:13:20Z", rejections.TimestampMalformed),
        ("iso8601", SECONDS, rejections.TimestampMalformed),
        ("http_date", "Tue, 14 Nov 2023 22:13:20 GMT", None),
        ("http_date", "Tue 14 Nov 2023 22:13:20 UTC", None),
        ("http_date", "Tue, 14 Foo 2023 22:13:20 GMT", rejections.TimestampMalformed),
        ("http_date", "Tue, 31 Nov 2023 22:13:20 GMT", rejections.TimestampMalformed),
    ],
)
def test_8_units(tmp_path: Path, unit: str, text: str, error: type[rejections.RequestRejected] | None) -> None:
    """A time in another unit than the configured one is refused, rather than let any window pass or none."""
    received = request(("X-Time", text), ("X-Sig", mac(f"{text}.".encode() + BODY)))
    assert refused(tmp_path, {**TIMED, "timestamp_unit": unit}, received) == error


def test_8_time_outside_the_signature(tmp_path: Path) -> None:
    """A time that is not signed must not decide, so such a scheme is no configuration."""
    with pytest.raises(errors.ConfigError, match="which signed does not cover"):
        configured(tmp_path, {"header": "X-Sig", "timestamp": "header:X-Time"}, [SECRET])


@pytest.mark.parametrize(
    ("keys", "where", "expected"),
    [
        ({"header": "S"}, "header:X-Id", False),
        ({"header": "S"}, "json:/id", True),
        ({"header": "S"}, "query:id", False),
        ({"header": "S", "signed": "{header:X-Id}.{body}"}, "header:X-ID", True),
        ({"header": "S", "signed": "{header:X-Id}{body}"}, "header:X-Id", False),
        (
            {"header": "S", "signed": "{id}{timestamp}{body}", "id": "header:I", "timestamp": "header:T"},
            "header:i",
            True,
        ),
        ({"header": "S", "signed": "{url}{body}"}, "query:id", True),
        ({"header": "S", "signed": "{url}{form_sorted}"}, "form:id", False),
        ({"at": "form:sig", "signed": "{form_amp_sorted:sig}"}, "form:id", False),
        ({"at": "form:sig", "signed": "{form_amp_sorted:sig}", "timestamp": "form:t"}, "form:t", True),
        ({"at": "form:sig", "signed": "{form_amp_sorted:sig}"}, "form:sig", False),
        ({"at": "json:/s", "signed": "{json:/a}|{json:/b}"}, "json:/a", False),
        ({"at": "json:/s", "signed": "{timestamp}{json:/a}", "timestamp": "json:/t"}, "json:/a", True),
        ({"at": "json:/s", "signed": "{json:/a}|{json:/b}"}, "{json:/a}.{json:/c}", False),
        ({"header": "S", "signed": "{query:id|lower}.{body}"}, "query:id", False),
        ({"header": "S", "method": "token"}, "json:/id", False),
        ({"each": "json:/items", "at": "json:/s", "signed": "{json:/id}"}, "json:/items/0/id", True),
        ({"each": "json:/items", "at": "json:/s", "signed": "{json:/id}"}, "json:/id", False),
        ({"header": "S", "method": "jwt-hs256", "claim": "h"}, "sig:jti", True),
        ({"header": "S", "method": "jwt-hs256", "claim": "h"}, "json:/id", True),
        ({"header": "S", "method": "jwt-hs256", "claim": "h", "url_claim": "u"}, "query:id", True),
    ],
)
def test_9_what_is_authentic(keys: dict[str, Any], where: str, expected: bool) -> None:  # noqa: FBT001 - a column
    """Whether an id can be relied on follows from what is signed, and from where each signed value ends."""
    assert Scheme(**keys).authenticates(where) is expected


def test_10_a_moved_boundary(tmp_path: Path) -> None:
    """A signed header that holds the separator after it could be read as two values, and is refused."""
    signature = {"header": "X-Sig", "signed": "{header:X-A}.{header:X-B}.{body}"}
    whole = mac(b"one.two.three." + BODY)
    received = request(("X-Sig", whole), ("X-A", "one.two"), ("X-B", "three"))
    assert refused(tmp_path, signature, received) == rejections.HeaderMalformed


def test_10_an_id_that_ends_in_zero(tmp_path: Path) -> None:
    """The last zero of an id cannot move into the time beside it, which would make another id of it."""
    places = {"id": "header:X-Id", "timestamp": "header:X-Time"}
    signature = {"header": "X-Sig", "signed": "{id}{timestamp}{body}", **places}
    whole = mac(f"id10{SECONDS}".encode() + BODY)
    for text, time, expected in (("id10", SECONDS, None), ("id1", f"0{SECONDS}", rejections.TimestampMalformed)):
        received = request(("X-Sig", whole), ("X-Id", text), ("X-Time", time))
        assert refused(tmp_path, signature, received) == expected


def test_10_a_name_that_holds_fields(tmp_path: Path) -> None:
    """A form's name with & or = in it would hide the fields that were signed, and is refused."""
    scheme = {"at": "form:sig", "signed": "{form_amp_sorted:sig}"}
    signed = mac(b"&id=1&to=2")
    for body, expected in (("id=1&to=2", None), ("id%3D1%26to=2", rejections.FieldMalformed)):
        received = replace(
            request(("content-type", "application/x-www-form-urlencoded")), body=f"{body}&sig={signed}".encode()
        )
        assert refused(tmp_path, scheme, received) == expected


def test_11_partial_coverage(tmp_path: Path) -> None:
    """That a signature leaves the body open is known to the scheme, and told of at start."""
    source = configured(tmp_path, IN_JSON, [SECRET])
    assert not source.schemes[0].covers_body
    notes = build.notes(load(tmp_path / "gateway.toml", {"INNGEST_EVENT_KEY": "k", "SECRET_0": SECRET}), 0)
    assert "does not cover the whole body" in notes["x"]


@pytest.mark.parametrize("encoding", ["base64", "base64url", "base64_of_hex"])
def test_13_one_spelling(tmp_path: Path, encoding: str) -> None:
    """A base64 signature is taken in one spelling only, whatever a lenient decoder would make of others."""
    signature = {"header": "X-Sig", "encoding": encoding}
    scheme = Scheme(header="X-Sig", encoding=encoding)  # type: ignore[arg-type]
    good = signed_request(request(), scheme, SECRET.encode())
    text = good.values("x-sig")[0]
    assert refused(tmp_path, signature, good) is None
    bare = text.rstrip("=")
    spare = bare[:-1] + chr(ord(bare[-1]) + 1)
    for other in (
        spare + "=" * (len(text) - len(bare)),
        text + "==",
        f" {text}",
        text + "\t",
        text[:8] + "-+_/" + text[8:],
    ):
        received = replace(good, headers=(("x-sig", other),))
        assert refused(tmp_path, signature, received) in {rejections.SignatureMalformed, rejections.HeaderMalformed}, (
            other
        )


def test_14_the_algorithm_is_pinned(tmp_path: Path) -> None:
    """An algorithm that the request names is compared with the configured one, never followed."""
    signature = {"header": "X-Sig", "require": [["{header:X-Algorithm}", "HmacSHA256"]]}
    assert refused(tmp_path, signature, request(("X-Sig", GOOD), ("X-Algorithm", "HmacSHA256"))) is None
    assert (
        refused(tmp_path, signature, request(("X-Sig", GOOD), ("X-Algorithm", "none"))) == rejections.RequirementUnmet
    )
    assert refused(tmp_path, signature, request(("X-Sig", GOOD))) == rejections.HeaderMissing


def test_15_no_downgrade(tmp_path: Path) -> None:
    """The strongest version that is offered decides, even where a weaker one beside it is right."""
    items = {"header": "X-Sig", "separator": ",", "assign": "="}
    versions = [{**items, "key": "v2", "signed": "v2.{body}"}, {**items, "key": "v1"}]
    source = configured(tmp_path, versions, [SECRET])
    weak, strong = f"v1={GOOD}", f"v2={mac(b'v2.' + BODY)}"
    for text in (strong, weak, f"{weak},{strong}", f"{strong},v1={'0' * 64}"):
        verify(request(("X-Sig", text)), source, NOW)
    for text in (f"{weak},v2={'0' * 64}", f"v2={'0' * 64}", f"{weak},v2=zz"):
        with pytest.raises(rejections.VerificationError):
            verify(request(("X-Sig", text)), source, NOW)


@pytest.mark.parametrize("encoding", ["wire", "decoded"])
def test_17_content_encoding(tmp_path: Path, encoding: str) -> None:
    """The scheme says whether the compressed bytes are signed or what they hold, and the other is refused."""
    signature = {"header": "X-Sig", "signed_encoding": encoding}
    packed = gzip.compress(BODY)
    for signed, body in (("wire", packed), ("decoded", BODY)):
        received = request(("X-Sig", mac(body)), ("Content-Encoding", "gzip"), body=packed)
        assert (refused(tmp_path, signature, received) is None) is (signed == encoding)


def test_19_the_url_is_the_configured_one(tmp_path: Path) -> None:
    """The signed URL is the public one with the received query; what headers say of the host decides nothing."""
    signature = {"header": "X-Sig", "signed": "{url}{body}"}
    hostile = (("Host", "evil.example.com"), ("X-Forwarded-Host", "evil.example.com"))
    good = request(("X-Sig", mac(f"{URL}?a=1".encode() + BODY)), *hostile, query="a=1")
    assert refused(tmp_path, signature, good) is None
    with_port = URL.replace(".com/", ".com:443/")
    assert refused(tmp_path, signature, request(("X-Sig", mac(with_port.encode() + BODY)))) is None
    evil = mac(b"https://evil.example.com/webhooks/x" + BODY)
    assert refused(tmp_path, signature, request(("X-Sig", evil), *hostile)) == rejections.SignatureMismatch


def test_22_rotation(tmp_path: Path) -> None:
    """Of several secrets any may match, and the delivery says which one did."""
    delivery = verify(request(("X-Sig", GOOD)), configured(tmp_path, PLAIN, ["another example secret", SECRET]), NOW)
    assert getattr(delivery, "secret", None) == "SECRET_1"


def test_22_one_secret_for_two_schemes(tmp_path: Path) -> None:
    """Two sources whose schemes differ may not share a secret: one's requests could pass for the other's."""
    sources = [
        f'[sources.{name}]\nprovider = "hmac"\nsecrets = ["${{S}}"]\nsignature = {{header = "{header}"}}'
        for name, header in (("a", "X-One"), ("b", "X-Two"))
    ]
    (tmp_path / "gateway.toml").write_text("\n".join(sources))
    with pytest.raises(errors.ConfigError, match="whose signature is another"):
        load(tmp_path / "gateway.toml", {"INNGEST_EVENT_KEY": "k", "S": SECRET})


def test_23_published_secrets(tmp_path: Path) -> None:
    """A secret that a vendor prints in its documentation for tests is none."""
    with pytest.raises(errors.ConfigError, match="publishes for tests"):
        configured(tmp_path, PLAIN, ["dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ=="])


DOCUMENTS = {
    "as written": ('{"a": 12345678901234567890.10, "sig": "%s"}', b"12345678901234567890.10", None),
    "a truth": ('{"a": true, "sig": "%s"}', b"true", None),
    "escapes": ('{"a": "\\u00e9", "sig": "%s"}', "é".encode(), None),
    "repeated key": ('{"a": 1, "a": 2, "sig": "%s"}', b"2", rejections.FieldMalformed),
    "repeated inside": ('{"a": 1, "b": {"c": 1, "c": 2}, "sig": "%s"}', b"1", rejections.FieldMalformed),
    "not a number": ('{"a": NaN, "sig": "%s"}', b"NaN", rejections.FieldMalformed),
    "absent": ('{"sig": "%s"}', b"", rejections.FieldMissing),
    "null": ('{"a": null, "sig": "%s"}', b"", rejections.FieldMissing),
    "an object": ('{"a": {}, "sig": "%s"}', b"{}", rejections.FieldMalformed),
    "deep": ('{"a": 1, "b": ' + "[" * 100_000 + "]" * 100_000 + ', "sig": "%s"}', b"1", rejections.FieldMalformed),
    "half a character": ('{"a": "\\ud800", "sig": "%s"}', b"?", rejections.FieldMalformed),
    "no JSON": ("a=1&sig=%s", b"1", rejections.FieldMalformed),
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_25_json_before_the_signature(tmp_path: Path, name: str) -> None:
    """JSON that is read before it is verified is read strictly, its numbers as they are written."""
    text, signed, error = DOCUMENTS[name]
    assert refused(tmp_path, IN_JSON, request(body=(text % mac(signed)).encode())) == error


FORMS = {
    "decoded": ("a=x%0A&sig=%s", b"x\n", None),
    "plus": ("a=x+y&sig=%s", b"x y", None),
    "bad percent": ("a=%zz&sig=%s", b"%zz", rejections.FieldMalformed),
    "not UTF-8": ("a=%ff&sig=%s", b"\xff", rejections.FieldMalformed),
    "many fields": ("b=1&" * 1_001 + "a=x&sig=%s", b"x", rejections.FieldMalformed),
    "absent": ("sig=%s", b"", rejections.FieldMissing),
}


@pytest.mark.parametrize("name", FORMS)
def test_26_forms_before_the_signature(tmp_path: Path, name: str) -> None:
    """A form that is read before it is verified is decoded strictly, and has a bounded number of fields."""
    text, signed, error = FORMS[name]
    assert refused(tmp_path, IN_FORM, request(body=text.replace("%s", mac(signed)).encode())) == error
