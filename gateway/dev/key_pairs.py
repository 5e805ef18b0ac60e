"""Key pairs that sign samples for sources with a public key. For development only: private keys are on no server."""

from __future__ import annotations

import base64
from collections.abc import Callable

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

RSA_BITS = 2_048

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_GENERATORS: dict[str, Callable[[], Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey]] = {
    "ed25519": Ed25519PrivateKey.generate,
    "ecdsa-p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa-pkcs1": lambda: rsa.generate_private_key(public_exponent=65_537, key_size=RSA_BITS),
    "rsa-pss": lambda: rsa.generate_private_key(public_exponent=65_537, key_size=RSA_BITS),
}


def generate(method: str) -> tuple[str, str]:
    """Return a new private key as PEM, and its public key as the base64 of a SubjectPublicKeyInfo.

    The public key is what the source's secret is set to, the private one what `sign` takes. Raises ValueError for a
    method without key pairs.
    """
    if method not in _GENERATORS:
        raise ValueError(f"{method!r} has no key pairs; they exist for {', '.join(_GENERATORS)}")
    key = _GENERATORS[method]()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private.decode(), _public_text(key)


def public_of(private: str) -> str:
    """Return the public key of a private one in PEM, as `generate` does. Raises ValueError for one that is none."""
    return _public_text(_load(private))


def _public_text(key: PrivateKeyTypes) -> str:
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(public).decode()


def sign(method: str, algorithm: str, private: str, message: bytes) -> bytes:
    """Return the signature of `message` under a private key in PEM.

    Raises ValueError, with a sentence that does not hold the key, when it is not a key of the method.
    """
    match method, _load(private):
        case "ed25519", Ed25519PrivateKey() as key:
            return key.sign(message)
        case "ecdsa-p256", ec.EllipticCurvePrivateKey() as key:
            return key.sign(message, ec.ECDSA(_HASHES[algorithm]))
        case "rsa-pkcs1", rsa.RSAPrivateKey() as key:
            return key.sign(message, padding.PKCS1v15(), _HASHES[algorithm])
        case "rsa-pss", rsa.RSAPrivateKey() as key:
            digest = _HASHES[algorithm]
            pad = padding.PSS(mgf=padding.MGF1(digest), salt_length=padding.PSS.DIGEST_LENGTH)
            return key.sign(message, pad, digest)
    raise ValueError(f"the private key is not one for {method}; give the one that belongs to the source's public key")


def _load(private: str) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(private.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise ValueError("the private key is not a PEM without a password; write it as PKCS#8") from error
