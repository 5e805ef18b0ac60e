"""Every method and every place of a signature: what is made as its sender makes it is taken, and nothing else."""

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway import rejections
from gateway.dev import key_pairs
from gateway.model import Delivery, Request
from gateway.signatures import compile_check, signed_request
from gateway.sources import Source
from gateway.verify import verify
from tests.configured import configured

NOW = 1_700_000_000_000
SECRET = "an example secret of the tests"
JSON = b'{"id":"e-1","items":[{"id":1,"s":""},{"id":2,"s":""}],"at":"1700000000"}'
FORM = b"id=e-1&a=x+y&b=1%262"
LIST = {"separator": ",", "assign": "=", "key": "v1"}

SCHEMES: list[tuple[dict[str, Any], bytes, str, dict[str, str]]] = [
    ({"header": "X-Sig"}, JSON, SECRET, {}),
    ({"header": "X-Sig", "algorithm": "sha384", "encoding": "base64url"}, JSON, SECRET, {}),
    ({"header": "X-Sig", "algorithm": "md5", "encoding": "base64_of_hex"}, JSON, SECRET, {}),
    ({"header": "X-Sig", "numbered": 3}, JSON, SECRET, {}),
    ({"header": "X-Sig", "also": ["X-Sig-2"], "encoding": "base64"}, JSON, SECRET, {}),
    ({"header": "X-Sig", **LIST, "signed": "{sig:t}.{body}", "timestamp": "sig:t"}, JSON, SECRET, {"t": "1700000000"}),
    (
        {"header": "X-Sig", "separator": ";", "positional": ["alg", "t"], "signed": "{sig:t}.{body}"},
        JSON,
        SECRET,
        {"alg": "hmac", "t": "1700000000"},
    ),
    ({"header": "X-Sig", "separator": "&", "assign": "|", "key": "{param:user}"}, JSON, SECRET, {}),
    ({"header": "X-Sig", "method": "hash", "signed": "{secret}{method}{url}{body}"}, JSON, SECRET, {}),
    ({"at": "json:/sig", "signed": "{json:/id}", "encoding": "base64"}, JSON, SECRET, {}),
    ({"at": "json:/a/sig", "signed": "{json:/at}{json:/id}", "timestamp": "json:/at"}, JSON, SECRET, {}),
    ({"at": "json:/s", "each": "json:/items", "signed": "{json:/id}:{json:/gone?}"}, JSON, SECRET, {}),
    ({"at": "form:sig", "signed": "{form_amp_sorted:sig}", "algorithm": "md5"}, FORM, SECRET, {}),
    ({"at": "form:sig", "signed": "{form:id}|{form:a}"}, FORM, SECRET, {}),
    ({"header": "X-Sig", "signed": "{url}{form_sorted}", "algorithm": "sha1", "encoding": "base64"}, FORM, SECRET, {}),
    ({"at": "query:sig", "signed": "{url_base}{body}"}, JSON, SECRET, {}),
    ({"header": "X-Sig", "signed": "{method}\n{path_query}\n{path}\n{body|sha256_hex|upper}"}, JSON, SECRET, {}),
    ({"header": "X-Sig", "signed": "{query_sorted}{body|sha256_raw}"}, JSON, SECRET, {}),
    ({"header": "X-Sig", "signed": "{body|md5_base64}[[id:{query:gone};]][[q:{query:q};]]"}, JSON, SECRET, {}),
    ({"header": "X-Sig", "signed": "Body={body|json_string}"}, JSON, SECRET, {}),
    ({"header": "X-Sig", "signed": "{body|base64}{param:user}"}, JSON, SECRET, {}),
    ({"header": "X-Sig", **LIST, "signed": "{sig:h}.{header_values:h}.{body}"}, JSON, SECRET, {"h": "x-one x-two"}),
    ({"header": "X-Sig", "secret_encoding": "hex"}, JSON, "00ff" * 16, {}),
    ({"header": "X-Sig", "secret_hash": "sha1", "algorithm": "sha1"}, JSON, SECRET, {}),
    ({"header": "X-Sig", "secret_suffix": "&", "secret_normalize": "NFKD"}, JSON, "ﬁne and long enough", {}),
    ({"header": "X-Token", "method": "token"}, JSON, SECRET, {}),
    ({"header": "Authorization", "method": "token", "prefix": "Bearer "}, JSON, SECRET, {}),
    ({"at": "query:token", "method": "token"}, JSON, SECRET, {}),
    ({"at": "json:/state", "method": "token"}, JSON, SECRET, {}),
    ({"at": "json:/state", "each": "json:/items", "method": "token"}, JSON, SECRET, {}),
    ({"method": "basic"}, JSON, "user:a password", {}),
    ({"header": "X-Jwt", "method": "jwt-hs256", "claim": "body_hash", "url_claim": "url_hash"}, JSON, SECRET, {}),
]


def source_of(folder: Path, keys: dict[str, Any], secret: str) -> Source:
    """Configure a source of one scheme, with the constant that some use."""
    return configured(folder, keys, [secret], params={"user": "user-1"} if "{param:" in str(keys) else {})


def plain(body: bytes) -> Request:
    """Make a request that lacks the signature alone."""
    headers = (("x-one", "1"), ("x-two", "2"))
    url = "https://hooks.example.com/webhooks/x?q=1&b=a+b"
    return Request("POST", "/webhooks/x", "q=1&b=a+b", headers, body, NOW, url)


@pytest.mark.parametrize(("keys", "body", "secret", "fields"), SCHEMES, ids=[str(row[0])[:70] for row in SCHEMES])
def test_what_is_made_is_taken(
    tmp_path: Path, keys: dict[str, Any], body: bytes, secret: str, fields: dict[str, str]
) -> None:
    """A sample of every kind of scheme is taken; unsigned, changed or under another secret it is refused."""
    source = source_of(tmp_path, keys, secret)
    scheme = source.schemes[0]
    signed = signed_request(plain(body), scheme, source.keys[0][0], fields, params=source.params)
    assert isinstance(verify(signed, source, NOW), Delivery)
    with pytest.raises(rejections.SignatureMissing):
        verify(plain(body), source, NOW)
    other = signed_request(plain(body), scheme, b"another:secret of the tests", fields, params=source.params)
    with pytest.raises(rejections.SignatureMismatch):
        verify(other, source, NOW)
    if scheme.covers_body:
        with pytest.raises(rejections.VerificationError):
            verify(replace(signed, body=signed.body + b" "), source, NOW)


@pytest.mark.parametrize("method", ["ed25519", "ecdsa-p256", "rsa-pkcs1", "rsa-pss"])
def test_public_keys(tmp_path: Path, method: str) -> None:
    """A source whose secret is a public key takes what the private one signed, and only that."""
    private, public = key_pairs.generate(method)
    source = source_of(tmp_path, {"header": "X-Sig", "method": method, "encoding": "base64"}, public)

    def make(message: bytes) -> bytes:
        return key_pairs.sign(method, "sha256", private, message)

    signed = signed_request(plain(JSON), source.schemes[0], b"", make=make)
    assert isinstance(verify(signed, source, NOW), Delivery)
    with pytest.raises(rejections.SignatureMismatch):
        verify(replace(signed, body=JSON + b" "), source, NOW)
    with pytest.raises(rejections.SignatureMalformed):
        verify(replace(signed, headers=(("x-sig", "AA="),)), source, NOW)
    with pytest.raises(ValueError, match="private key"):
        signed_request(plain(JSON), source.schemes[0], source.keys[0][0])


def token(claims: dict[str, Any], header: dict[str, Any] | None = None) -> str:
    """Make a JSON Web Token by the standard library alone."""
    parts = [json.dumps(part).encode() for part in (header or {"alg": "HS256", "typ": "JWT"}, claims)]
    text = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    mac = hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


HASH = hashlib.sha256(JSON).hexdigest()
AT = NOW // 1000


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (token({"h": HASH}), None),
        (token({"h": HASH, "iat": AT - 299}), None),
        (token({"h": HASH, "nbf": AT - 9, "exp": AT + 9}), None),
        (token({"h": "0" * 64}), rejections.SignatureMismatch),
        (token({}), rejections.SignatureMismatch),
        (token({"h": HASH}, {"alg": "none"}), rejections.SignatureMalformed),
        (token({"h": HASH}, {"alg": "HS256", "crit": ["b64"]}), rejections.SignatureMalformed),
        (token({"h": HASH}).rpartition(".")[0] + ".", rejections.SignatureMismatch),
        (token({"h": HASH}) + ".x", rejections.SignatureMalformed),
        (token({"h": HASH, "exp": AT - 61}), rejections.TimestampStale),
        (token({"h": HASH, "nbf": AT + 61}), rejections.TimestampInFuture),
        (token({"h": HASH, "iat": AT - 301}), rejections.TimestampStale),
        (token({"h": HASH, "exp": "soon"}), rejections.TimestampMalformed),
        ("a.b", rejections.SignatureMalformed),
        ("e30.e30.e30", rejections.SignatureMalformed),
    ],
)
def test_web_tokens(tmp_path: Path, text: str, error: type[rejections.RequestRejected] | None) -> None:
    """A web token is taken for its body, in its time, and with the one algorithm."""
    source = source_of(tmp_path, {"header": "X-Jwt", "method": "jwt-hs256", "claim": "h"}, SECRET)
    received = replace(plain(JSON), headers=(("x-jwt", text),))
    if error is None:
        assert isinstance(verify(received, source, NOW), Delivery)
        return
    with pytest.raises(error):
        verify(received, source, NOW)


def test_a_web_token_of_another_url(tmp_path: Path) -> None:
    """A web token whose URL claim is configured is taken at that URL alone."""
    keys = {"header": "X-Jwt", "method": "jwt-hs256", "claim": "h", "url_claim": "u"}
    source = source_of(tmp_path, keys, SECRET)
    signed = signed_request(plain(JSON), source.schemes[0], source.keys[0][0])
    with pytest.raises(rejections.SignatureMismatch, match="'u'"):
        verify(replace(signed, url=signed.url + "&c=3"), source, NOW)


def test_a_plain_hash_gives_its_secret_to_no_digest(tmp_path: Path) -> None:
    """What is said to be signed leaves the secret out, as its digest is kept and could be a signature."""
    source = source_of(tmp_path, {"header": "X-Sig", "method": "hash", "signed": "{secret}{body}"}, SECRET)
    signed = signed_request(plain(JSON), source.schemes[0], source.keys[0][0])
    proof = source.checks[0](signed, NOW)
    assert proof is not None
    assert proof.signed == JSON


@pytest.mark.parametrize(
    "text", ["Bearer x", "Basic", "Basic !!!", "Basic dXNlcjph=", "Basic dXNlcjphIHBhc3N3b3Jk dQ=="]
)
def test_basic_grammar(tmp_path: Path, text: str) -> None:
    """An Authorization header that is not HTTP Basic is malformed."""
    source = source_of(tmp_path, {"method": "basic"}, "user:a")
    with pytest.raises(rejections.SignatureMalformed):
        verify(replace(plain(JSON), headers=(("authorization", text),)), source, NOW)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b'{"items":[]}', rejections.SignatureMissing),
        (b'{"items":{}}', rejections.SignatureMissing),
        (b'{"items":[{"id":1,"s":"%s"},{"id":2}]}', rejections.SignatureMalformed),
        (b'{"items":[{"id":1,"s":"%s"},{"id":2,"s":"%s"}]}', rejections.SignatureMismatch),
        (b'{"items":[{"id":1,"s":"%s"}' + b',{"id":1,"s":"%s"}' * 1_000 + b"]}", rejections.SignatureMalformed),
    ],
)
def test_every_item_counts(tmp_path: Path, body: bytes, error: type[rejections.RequestRejected]) -> None:
    """Where each item is signed, one without its own signature spoils the request, and so do too many."""
    source = source_of(tmp_path, {"at": "json:/s", "each": "json:/items", "signed": "{json:/id}"}, SECRET)
    mac = hmac.new(SECRET.encode(), b"1", hashlib.sha256).hexdigest().encode()
    with pytest.raises(error):
        verify(plain(body.replace(b"%s", mac)), source, NOW)


def test_what_is_proved(tmp_path: Path) -> None:
    """The proof holds the secret's index, the signed time and id, the other fields, and what is signed."""
    keys = {"header": "X-Sig", **LIST, "signed": "{id}.{timestamp}.{body}", "id": "header:X-One", "timestamp": "sig:t"}
    source = source_of(tmp_path, keys, SECRET)
    signed = signed_request(plain(JSON), source.schemes[0], source.keys[0][0], {"t": str(AT)})
    proof = compile_check(source.schemes[0], source.keys[0])(signed, NOW)
    assert proof is not None
    assert (proof.secret, proof.timestamp, proof.id, dict(proof.fields)) == (0, NOW, "1", {"t": str(AT)})
    assert proof.signed == f"1.{AT}.".encode() + JSON
    assert proof.digest == hashlib.sha256(proof.signed).hexdigest()
    assert JSON.decode() not in repr(proof)


def test_fields_and_texts_as_locators(tmp_path: Path) -> None:
    """Id and type may come from the signature's fields, the query, or a text put together of several places."""
    keys = {"header": "X-Sig", **LIST, "signed": "{sig:n}.{body}"}
    delivery = {"id": "{sig:n}-{query:q}-{header:x-gone?}", "type": "{json:/id}.{json:/at}", "version": "{json:/gone}!"}
    source = configured(tmp_path, keys, [SECRET], delivery=delivery)
    signed = signed_request(plain(JSON), source.schemes[0], source.keys[0][0], {"n": "nonce"})
    found = verify(signed, source, NOW)
    assert isinstance(found, Delivery)
    assert (found.id, found.type, found.version) == ("nonce-1-", "e-1.1700000000", None)


def test_a_token_in_the_query_is_not_kept(tmp_path: Path) -> None:
    """A secret that comes in the query is not kept with the delivery, however it is escaped; the rest of it is."""
    source = configured(tmp_path, {"method": "token", "at": "query:se cret"}, ["hunter2-hunter2-hunter2"])
    for written in ("se%20cret", "se+cret"):
        query = f"a=1&{written}=hunter2-hunter2-hunter2&b=%20"
        received = Request("POST", "/webhooks/x", query, (), b"{}", 0)
        delivery = verify(received, source, 0)
        assert isinstance(delivery, Delivery)
        assert delivery.query == "a=1&b=%20"
