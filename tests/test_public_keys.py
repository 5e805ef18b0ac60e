"""Public keys in every spelling, published signatures, and what must not pass."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from gateway.dev import key_pairs
from gateway.public_keys import load

METHODS = ["ed25519", "ecdsa-p256", "rsa-pkcs1", "rsa-pss"]
PAIRS = {method: key_pairs.generate(method) for method in METHODS}
VECTORS = json.loads((Path(__file__).parent / "vectors" / "public_keys.json").read_text())
ED25519_HEX = "79b5562e8fe654f94078b112e8a98ba7901f853ae695bed7e0e3910bad049664"


def public(key: Any, encoding: Any = serialization.Encoding.PEM, form: Any = None) -> str:
    """Write a public key of cryptography as text."""
    data: bytes = key.public_bytes(encoding, form or serialization.PublicFormat.SubjectPublicKeyInfo)
    return data.decode() if encoding is serialization.Encoding.PEM else base64.b64encode(data).decode()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["id"])
def test_published_signatures(vector: dict[str, Any]) -> None:
    """Signatures that providers publish get the verdict they publish."""
    signature = vector["signature"]
    decoded = bytes.fromhex(signature) if vector["method"] == "ed25519" else base64.b64decode(signature)
    verify = load(vector["method"], "sha256", vector["key"])
    assert verify(vector["message"].encode(), decoded) is vector["valid"]


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
@pytest.mark.parametrize("method", METHODS)
def test_a_pair_signs_and_verifies(method: str, algorithm: str) -> None:
    """What a private key signs passes under its public key, unchanged and under that one alone."""
    private, key = PAIRS[method]
    signature = key_pairs.sign(method, algorithm, private, b"message")
    assert load(method, algorithm, key)(b"message", signature)
    assert not load(method, algorithm, key)(b"messagf", signature)
    assert not load(method, algorithm, key_pairs.generate(method)[1])(b"message", signature)


@pytest.mark.parametrize("method", METHODS)
def test_every_spelling_of_a_key(method: str) -> None:
    """A PEM may have lost its line breaks or have them escaped, and base64 may stand bare, padded or not."""
    private, key = PAIRS[method]
    signature = key_pairs.sign(method, "sha256", private, b"message")
    pem = public(serialization.load_der_public_key(base64.b64decode(key)))
    wrapped = "\n".join(key[start : start + 40] for start in range(0, len(key), 40))
    for text in (key, key.rstrip("="), wrapped, pem, pem.replace("\n", "\\n"), pem.replace("\n", " "), f"\n{pem}\n\n"):
        assert load(method, "sha256", text)(b"message", signature)


def test_raw_ed25519_keys() -> None:
    """The 32 bytes of an Ed25519 key may be hex in any case, base64 of both alphabets, or follow whpk_."""
    raw = bytes.fromhex(ED25519_HEX)
    [vector] = [vector for vector in VECTORS if vector["method"] == "ed25519"]
    encoded = base64.b64encode(raw).decode()
    safe = base64.urlsafe_b64encode(raw).decode().rstrip("=")
    for text in (ED25519_HEX, ED25519_HEX.upper(), encoded, safe, f"whpk_{encoded}"):
        verify = load("ed25519", "sha256", text)
        assert verify(vector["message"].encode(), bytes.fromhex(vector["signature"]))


def test_an_rsa_key_in_its_own_format() -> None:
    """An RSA key as PKCS#1, whose armour says RSA PUBLIC KEY, is read too."""
    private, _ = PAIRS["rsa-pkcs1"]
    key: Any = serialization.load_pem_private_key(private.encode(), None)
    text = public(key.public_key(), form=serialization.PublicFormat.PKCS1)
    signature = key_pairs.sign("rsa-pkcs1", "sha256", private, b"message")
    assert load("rsa-pkcs1", "sha256", text)(b"message", signature)


def refusals() -> list[tuple[str, str, str, str]]:
    """Return keys that must be refused: method, algorithm, key, and a part of the sentence."""
    small = rsa.generate_private_key(public_exponent=65_537, key_size=1_024).public_key()  # noqa: S505 - to be refused
    other_curve = ec.generate_private_key(ec.SECP384R1()).public_key()
    ed25519, ecdsa, rsa_key = (PAIRS[method][1] for method in METHODS[:3])
    return [
        ("ed25519", "sha256", "", "cannot be read"),
        ("ed25519", "sha256", ED25519_HEX[:-2], "cannot be read"),
        ("ed25519", "sha256", "not a key!", "neither PEM nor base64"),
        ("ed25519", "sha256", "00" * 32, "all zeros"),
        ("ed25519", "sha256", ecdsa, "not an Ed25519 key"),
        ("ecdsa-p256", "sha256", ed25519, "not an ECDSA key"),
        ("ecdsa-p256", "sha256", public(other_curve), "key on P-256"),
        ("ecdsa-p256", "sha256", PAIRS["ecdsa-p256"][0], "is a private key, not a public key"),
        ("rsa-pkcs1", "sha256", ecdsa, "not an RSA key"),
        ("rsa-pkcs1", "sha1", rsa_key, "sha1 can be forged"),
        ("rsa-pss", "md5", rsa_key, "md5 can be forged"),
        ("rsa-pss", "sha256", public(small), "1024 bits"),
        ("rsa-pkcs1", "sha256", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "is a certificate"),
        ("rsa-pkcs1", "sha256", "A" * 20_000, "longer than"),
        ("hmac", "sha256", rsa_key, "no method with a public key"),
    ]


@pytest.mark.parametrize(("method", "algorithm", "key", "part"), [pytest.param(*row, id=row[3]) for row in refusals()])
def test_unusable_keys(method: str, algorithm: str, key: str, part: str) -> None:
    """A key of another kind, a weak one or no key at all is refused in a sentence that does not hold it."""
    with pytest.raises(ValueError, match=part) as refused:
        load(method, algorithm, key)
    assert not key.strip() or key not in str(refused.value)


@pytest.mark.parametrize("method", METHODS)
@given(signature=st.binary(max_size=300), message=st.binary(max_size=50))
def test_no_signature_passes_by_chance(method: str, signature: bytes, message: bytes) -> None:
    """Whatever bytes stand in for a signature, the answer is no and never an exception."""
    assert not load(method, "sha256", PAIRS[method][1])(message, signature)


def test_a_private_key_of_another_kind() -> None:
    """Samples are not signed with a key of another method, or with no key."""
    with pytest.raises(ValueError, match="not one for ed25519"):
        key_pairs.sign("ed25519", "sha256", PAIRS["rsa-pss"][0], b"")
    with pytest.raises(ValueError, match="not a PEM"):
        key_pairs.sign("ed25519", "sha256", "whatever", b"")
    with pytest.raises(ValueError, match="has no key pairs"):
        key_pairs.generate("hmac")
