"""Verify signatures with a sender's public key: Ed25519, ECDSA P-256, RSA. Pure; the only importer of cryptography."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

MIN_RSA_BITS = 2_048
ED25519_BYTES = 32
MAX_KEY_LENGTH = 16_384

Verify = Callable[[bytes, bytes], bool]
"""Tell whether a signature (second) is one of a message (first) under the key that was loaded."""

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_ARMOUR = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_PUBLIC = {"PUBLIC KEY", "RSA PUBLIC KEY"}
_RAW_HEX = re.compile(r"[0-9a-fA-F]{64}")
_BLANKS = re.compile(r"\s+|\\n|\\r")


def load(method: str, algorithm: str, key: str) -> Verify:
    """Return the function that checks signatures under a public key, which is read once.

    `method` is `ed25519`, `ecdsa-p256` (DER signatures), `rsa-pkcs1` or `rsa-pss`. `key` is a PEM, the base64 of a
    SubjectPublicKeyInfo or, for ed25519, the 32 bytes in hex or base64, also after `whpk_`. `algorithm` is the hash
    under ECDSA and RSA; Ed25519 has its own. Raises ValueError, with a sentence that does not hold the key.
    """
    if method == "ed25519":
        return _ed25519(_ed25519_key(key))
    if method not in {"ecdsa-p256", "rsa-pkcs1", "rsa-pss"}:
        raise ValueError(f"{method!r} is no method with a public key; use ed25519, ecdsa-p256, rsa-pkcs1 or rsa-pss")
    digest = _HASHES.get(algorithm)
    if digest is None:
        raise ValueError(f"{method} with {algorithm} can be forged; use sha256, sha384 or sha512")
    loaded = _load(_der(key))
    if method == "ecdsa-p256":
        return _ecdsa(loaded, digest)
    return _rsa(loaded, digest, padding.PKCS1v15() if method == "rsa-pkcs1" else _pss(digest))


def _ed25519(key: Ed25519PublicKey) -> Verify:
    return lambda message, signature: _passes(lambda: key.verify(signature, message))


def _ecdsa(key: PublicKeyTypes, digest: hashes.HashAlgorithm) -> Verify:
    if not (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)):
        raise ValueError("the public key is not an ECDSA key on P-256; copy the one for webhooks")  # noqa: TRY004 - see `load`
    scheme = ec.ECDSA(digest)
    return lambda message, signature: _passes(lambda: key.verify(signature, message, scheme))


def _rsa(key: PublicKeyTypes, digest: hashes.HashAlgorithm, pad: padding.AsymmetricPadding) -> Verify:
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("the public key is not an RSA key; copy the one for webhooks")  # noqa: TRY004 - see `load`
    if key.key_size < MIN_RSA_BITS:
        raise ValueError(f"the RSA key has {key.key_size} bits and can be broken; use one of at least {MIN_RSA_BITS}")
    return lambda message, signature: _passes(lambda: key.verify(signature, message, pad, digest))


def _pss(digest: hashes.HashAlgorithm) -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(digest), salt_length=padding.PSS.AUTO)


def _passes(verify: Callable[[], None]) -> bool:
    try:
        verify()
    except InvalidSignature:
        return False
    return True


def _ed25519_key(text: str) -> Ed25519PublicKey:
    bare = text.strip().removeprefix("whpk_")
    raw = bytes.fromhex(bare) if _RAW_HEX.fullmatch(bare) else _der(bare)
    if len(raw) != ED25519_BYTES:
        loaded = _load(raw)
        if not isinstance(loaded, Ed25519PublicKey):
            raise ValueError("the public key is not an Ed25519 key; copy the one for webhooks")
        raw = loaded.public_bytes_raw()
    if not any(raw):
        raise ValueError("the public key is all zeros, under which anyone can sign; copy it again")
    return Ed25519PublicKey.from_public_bytes(raw)


def _der(text: str) -> bytes:
    """Take the armour off a PEM, whose line breaks may be lost or escaped, and decode the base64 inside."""
    if len(text) > MAX_KEY_LENGTH:
        raise ValueError(f"the public key is longer than {MAX_KEY_LENGTH} characters; put the key alone there")
    match = _ARMOUR.search(text)
    if match and match[1] not in _PUBLIC:
        raise ValueError(f"the text is a {match[1].lower()}, not a public key; verification needs the public key alone")
    bare = _BLANKS.sub("", match[2] if match else text).rstrip("=").translate(str.maketrans("-_", "+/"))
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("the public key is neither PEM nor base64; copy it unchanged, from BEGIN to END") from error


def _load(der: bytes) -> PublicKeyTypes:
    try:
        return serialization.load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("the public key cannot be read; copy it unchanged, from BEGIN to END") from error
