"""Rejected requests and what `explain` says of each, made as they happen: signed rightly, then spoiled on the way."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.diagnosis import Cause, Finding, explain, explain_unknown
from gateway.model import Request
from gateway.rejections import RequestRejected
from gateway.scheme import Scheme
from gateway.sources import Source
from gateway.verify import verify
from tests.signed import ACME, BODIES, FORM, NOW, SECRETS, dumps, form, request, signed_headers, source

OTHER = "another secret altogether"
KEY = SECRETS["hmac"]


def why(sent: Request, to: Source, *others: Source, now: int = NOW) -> tuple[str, tuple[Finding, ...]]:
    """Verify a request that must be rejected; return the label and the findings, none of which tells a secret."""
    with pytest.raises(RequestRejected) as rejected:
        verify(sent, to, now)
    sources = {one.name: one for one in (to, *others)}
    findings = explain(sent, rejected.value.label, to, sources, now)
    told = "".join(f"{found.sentence} {found.remedy}" for found in findings) + str(rejected.value)
    hidden = [secret for one in sources.values() for secret in one.secrets]
    hidden += [value for name, value in sent.headers if "sign" in name or "hmac" in name]
    assert not [text for text in hidden if text and text in told]
    assert len(sent.body) < 8 or sent.body.decode("latin-1") not in told
    return rejected.value.label, findings


def acme(**changes: Any) -> Source:
    """Return the source of a sender with its own scheme."""
    scheme = replace(ACME, **changes)
    return source("hmac", name="acme", schemes=(scheme,), keys=((scheme.decode_key(KEY),),))


def mac(content: bytes, key: bytes = KEY.encode(), algorithm: str = "sha256") -> bytes:
    """Return the bytes of an HMAC."""
    return hmac.digest(key, content, algorithm)


def plain(value: str, body: bytes, header: str = "x-acme-signature") -> Request:
    """Make a request with a signature over its body alone."""
    return request(((header, value), ("content-type", "application/json")), body)


BODY = b'{"id": "o-1", "amount": 1.10, "path": "a/b", "name": "J\\u00f6rg"}'
BARE = Scheme(header="X-Acme-Signature")


def bare(**changes: Any) -> Source:
    """Return a source whose scheme signs the body alone, in hex."""
    secrets, params = changes.pop("secrets", (KEY,)), changes.pop("params", {})
    scheme = replace(BARE, **changes)
    return source(
        "hmac",
        name="acme",
        schemes=(scheme,),
        secrets=secrets,
        params=params,
        keys=(tuple(map(scheme.decode_key, secrets)),),
    )


@dataclass(frozen=True)
class Spoiled:
    """A request to a source, and what is proven of it."""

    sent: Request
    to: Source
    cause: Cause
    words: str


def rewritten(original: bytes, arrived: bytes, words: str, media_type: str = "application/json") -> Spoiled:
    """Sign the original and let something else arrive."""
    sent = request((("x-acme-signature", mac(original).hex()), ("content-type", media_type)), arrived)
    return Spoiled(sent, bare(), Cause.BODY_REWRITTEN, words)


DOCUMENT = {"b": 1, "a": [1, {"c": "d/é"}], "f": 1.5}
COMPACT = json.dumps(DOCUMENT, separators=(",", ":"), ensure_ascii=False).encode()
INDENTED = json.dumps(DOCUMENT, indent=2, ensure_ascii=False).encode()

PROVEN = {
    "compacted": rewritten(INDENTED, COMPACT, "as JSON indented by 2"),
    "indented": rewritten(COMPACT, INDENTED, "as compact JSON"),
    "escapes unescaped": rewritten(json.dumps(DOCUMENT).encode(), INDENTED, "\\u escapes"),
    "floats stay as written": rewritten(b'{"a":1.10,"b":1e3}', b'{"a": 1.10, "b": 1e3}', "as compact JSON"),
    "slashes unescaped": rewritten(b'{"a":"b\\/c"}', b'{"a":"b/c"}', "escaped slashes"),
    "sorted before": rewritten(b'{"a":1,"b":2}', b'{"b":2,"a":1}', "sorted keys"),
    "line end added": rewritten(COMPACT, COMPACT + b"\n", "without the"),
    "line end cut": rewritten(COMPACT + b"\n", COMPACT, "with a line end at its end"),
    "CRLF to LF": rewritten(b'{\r\n"a":1\r\n}', b'{\n"a":1\n}', "CRLF in place of LF"),
    "LF to CRLF": rewritten(b'{\n"a":1\n}', b'{\r\n"a":1\r\n}', "LF in place of CRLF"),
    "compacted, with a constant signed": Spoiled(
        plain(mac(b"app-1" + INDENTED).hex(), COMPACT),
        bare(signed="{param:app}{body}", params={"app": "app-1"}),
        Cause.BODY_REWRITTEN,
        "as JSON indented by 2",
    ),
    "JSON called a form": rewritten(COMPACT, INDENTED, "as compact JSON", FORM),
    "form re-encoded": rewritten(b"a=b%20c&d=%2F", b"a=b+c&d=%2f", "%20 for blanks", FORM),
    "taken for Latin-1": rewritten("é".encode().decode("latin-1").encode(), "é".encode(), "Latin-1", "text/plain"),
    "decompressed": Spoiled(
        request((("x-acme-signature", mac(BODY).hex()), ("content-encoding", "gzip")), gzip.compress(BODY)),
        bare(),
        Cause.BODY_DECODED,
        "Content-Encoding",
    ),
    "base64": Spoiled(
        plain(base64.b64encode(mac(BODY)).decode(), BODY), bare(), Cause.SIGNATURE_FORM, 'signature.encoding = "base64"'
    ),
    "prefix": Spoiled(plain(f"sha256={mac(BODY).hex()}", BODY), bare(), Cause.SIGNATURE_FORM, 'prefix = "sha256="'),
    "no prefix": Spoiled(
        plain(mac(BODY).hex(), BODY), bare(prefix="sha256="), Cause.SIGNATURE_FORM, 'signature.prefix = ""'
    ),
    "algorithm": Spoiled(
        plain(mac(BODY, algorithm="sha1").hex(), BODY), bare(), Cause.SIGNATURE_FORM, 'signature.algorithm = "sha1"'
    ),
    "header": Spoiled(
        plain(mac(BODY).hex(), BODY, "x-other-signature"),
        bare(),
        Cause.SIGNATURE_FORM,
        'signature.header = "x-other-signature"',
    ),
    "secret is base64": Spoiled(
        plain(mac(BODY, b"a key of bytes, not of text").hex(), BODY),
        bare(secrets=(base64.b64encode(b"a key of bytes, not of text").decode(),)),
        Cause.SECRET_FORM,
        'secret_encoding = "base64"',
    ),
    "secret is hex": Spoiled(
        plain(mac(BODY, bytes(range(32))).hex(), BODY),
        bare(secrets=(bytes(range(32)).hex(),)),
        Cause.SECRET_FORM,
        'secret_encoding = "hex"',
    ),
    "secret is text": Spoiled(
        plain(mac(BODY, bytes(range(32)).hex().encode()).hex(), BODY),
        bare(secrets=(bytes(range(32)).hex(),), secret_encoding="hex"),
        Cause.SECRET_FORM,
        'secret_encoding = "utf8"',
    ),
    "secret with its line end": Spoiled(
        plain(mac(BODY, f"{KEY}\n".encode()).hex(), BODY), bare(), Cause.SECRET_FORM, "line end after it"
    ),
    "secret in quotes": Spoiled(
        plain(mac(BODY).hex(), BODY), bare(secrets=(f'"{KEY}"',)), Cause.SECRET_FORM, "without the quotes"
    ),
    "whsec_ kept": Spoiled(
        plain(mac(BODY, b"0123456789abcdef").hex(), BODY),
        bare(secrets=("whsec_0123456789abcdef",)),
        Cause.SECRET_FORM,
        "without whsec_",
    ),
    "time left out": Spoiled(
        request((("x-acme-signature", f"sha256={mac(BODY).hex()}"), ("x-acme-timestamp", str(NOW // 1000))), BODY),
        acme(),
        Cause.SIGNED_CONTENT,
        'signature.signed = "{body}"',
    ),
    "milliseconds": Spoiled(
        request(
            (
                ("x-acme-signature", f"sha256={mac(str(NOW).encode() + b'.' + BODY).hex()}"),
                ("x-acme-timestamp", str(NOW)),
            ),
            BODY,
        ),
        acme(),
        Cause.TIMESTAMP_UNIT,
        'timestamp_unit = "ms"',
    ),
}


@pytest.mark.parametrize("name", PROVEN)
def test_proven_causes(name: str) -> None:
    """A genuine request that was spoiled in one way is explained by that way, and by nothing else."""
    case = PROVEN[name]
    _, [found] = why(case.sent, case.to)
    assert (found.cause, found.proven) == (case.cause, True)
    assert case.words in f"{found.sentence} {found.remedy}"


URLS = [
    ("https://hooks.example.com/webhooks/x", "http://hooks.example.com", "https://hooks.example.com"),
    ("https://hooks.example.com/webhooks/x", "https://hooks.example.com:8443", "https://hooks.example.com"),
    ("https://other.example.com/webhooks/x", "https://hooks.example.com", "https://other.example.com"),
    ("https://other.example.com/webhooks/x", "", "https://other.example.com"),
    ("https://hooks.example.com/webhooks/x/", "https://hooks.example.com", "no slash"),
]


@pytest.mark.parametrize(("signed", "configured", "words"), URLS)
def test_public_url(signed: str, configured: str, words: str) -> None:
    """A signature over another URL than the configured one names the one that is right."""
    scheme = replace(BARE, signed="{url}{body}")
    to = source("hmac", name="x", schemes=(scheme,), keys=((scheme.decode_key(KEY),),))
    sent = plain(mac(signed.encode() + BODY).hex(), BODY)
    url = f"{configured}/webhooks/x" if configured else ""
    sent = replace(sent, url=url, headers=(*sent.headers, ("host", "other.example.com")))
    _, [found] = why(sent, to)
    assert (found.cause, found.proven) == (Cause.PUBLIC_URL, True)
    assert words in found.sentence + found.remedy


def test_secret_of_another_source() -> None:
    """A request signed with the secret of another source names that source and the position of its secret."""
    other = source("github", name="github-b", secrets=("first secret of b", OTHER))
    sent = request(signed_headers("github", b"{}", secret=OTHER), b"{}")
    _, [found] = why(sent, source("github", name="github-a"), other)
    assert found.cause is Cause.OTHER_SECRET
    assert "secrets[1] of source github-b" in found.sentence


def test_url_of_another_source() -> None:
    """A request that another source would take says which URL it was meant for."""
    sent = request(signed_headers("slack", BODIES["slack"]), BODIES["slack"])
    label, [found] = why(sent, source("github"), source("slack"))
    assert (label, found.cause) == ("signature_missing", Cause.OTHER_SOURCE)
    assert "/webhooks/slack" in found.remedy


def test_header_of_another_provider() -> None:
    """A request with the header of a provider that is not configured names the provider."""
    _, findings = why(request(signed_headers("shopify", b"{}"), b"{}"), source("github"))
    assert findings[0].cause is Cause.OTHER_PROVIDER
    assert "shopify" in findings[0].sentence


def test_unknown_path() -> None:
    """A path that resembles a source's names it."""
    found = explain_unknown("/webhooks/strpie", ["stripe", "slack"])
    assert "register /webhooks/stripe" in found.remedy
    assert "register /webhooks/slack" in explain_unknown("/slack", ["stripe", "slack"]).remedy


LABELS = [
    ("header_repeated", Cause.HEADER_REPEATED),
    ("header_malformed", Cause.HEADER_ALTERED),
    ("timestamp_malformed", Cause.TIMESTAMP_UNIT),
    ("field_missing", Cause.SIGNED_CONTENT),
    ("field_repeated", Cause.HEADER_REPEATED),
    ("field_malformed", Cause.BODY_FORMAT),
    ("requirement_unmet", Cause.BODY_REWRITTEN),
    ("handshake_refused", Cause.CONFIGURATION),
    ("handshake_malformed", Cause.OTHER_PROVIDER),
    ("handshakes_too_many", Cause.METHOD),
    ("method_not_allowed", Cause.METHOD),
    ("body_too_large", Cause.BODY_LIMIT),
    ("body_timeout", Cause.BODY_CUT),
    ("body_malformed", Cause.BODY_FORMAT),
    ("encoding_unsupported", Cause.BODY_FORMAT),
    ("encoding_invalid", Cause.BODY_CUT),
    ("secret_missing", Cause.CONFIGURATION),
    ("a_label_of_tomorrow", Cause.UNKNOWN),
]


@pytest.mark.parametrize(("label", "cause"), LABELS)
def test_every_label_is_explained(label: str, cause: Cause) -> None:
    """Whatever the label, there is a sentence and something to do."""
    to = source("github")
    [found] = explain(request((), b""), label, to, {to.name: to}, NOW)
    assert found.cause is cause
    assert found.sentence
    assert "{" not in found.sentence + found.remedy


def test_labels_of_the_core_are_all_explained() -> None:
    """No label of a rejection is left to the words for the unknown."""
    to, stack = source("github"), [RequestRejected]
    while stack:
        kind = stack.pop()
        stack += kind.__subclasses__()
        if kind.label not in {"rejected", "unverified", "unknown_source"}:
            findings = explain(request((("via", "1.1 a"),), b"{}"), kind.label, to, {to.name: to}, NOW)
            assert findings[0].cause is not Cause.UNKNOWN, kind.label


@settings(max_examples=100, deadline=None)
@given(
    body=st.binary(max_size=300) | st.just(dumps(DOCUMENT)),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["x-acme-signature", "x-acme-timestamp", "host", "via", "content-type", "x-sign"]),
            st.text(max_size=80),
        ),
        max_size=6,
    ),
    provider=st.sampled_from(["stripe", "slack", "github", "standard-webhooks", "hmac"]),
    label=st.sampled_from(["signature_mismatch", "signature_missing", "signature_malformed", "timestamp_stale"]),
)
def test_arbitrary_requests(body: bytes, headers: list[tuple[str, str]], provider: str, label: str) -> None:
    """Whatever a stranger sends, the diagnosis ends with a finding and proves nothing."""
    to = source(provider)
    findings = explain(request(tuple(headers), body), label, to, {to.name: to, "acme": acme()}, NOW)
    assert findings
    assert not any(found.proven for found in findings)


def test_a_form_signed_by_slack_and_rewritten() -> None:
    """A slash command whose form was re-encoded on its way is told so."""
    original = form(command="/deploy", text="a b").replace(b"+", b"%20")
    headers = (*signed_headers("slack", original), ("content-type", FORM))
    sent = request(headers, original.replace(b"%20", b"+"))
    _, [found] = why(sent, source("slack"))
    assert found.cause is Cause.BODY_REWRITTEN


def test_large_bodies_are_not_tried() -> None:
    """A body too large to try things on costs nothing more and still gets a finding."""
    body = b'{"a": "' + b"x" * 2_000_000 + b'"}'
    digest = hashlib.sha256(body).hexdigest()
    findings = explain(plain(digest, body), "signature_mismatch", bare(), {}, NOW)
    assert findings[0].cause is Cause.SECRET_UNKNOWN


def test_reasons_and_causes_are_documented() -> None:
    """The page about rejections lists every reason and every cause."""
    page = (Path(__file__).parents[1] / "docs" / "rejections.md").read_text()
    assert [cause for cause in Cause if f"`{cause}`" not in page] == []
    stack, labels = [RequestRejected], set()
    while stack:
        stack += (kind := stack.pop()).__subclasses__()
        labels |= set() if kind.__subclasses__() else {kind.label}
    assert [label for label in labels if f"`{label}`" not in page] == []
