"""Find the signatures in a request and read their spelling: one strict decoding per encoding."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping, Sequence

from gateway.rejections import SignatureMalformed
from gateway.scheme import Encoding, Scheme
from gateway.signatures.received import MAX_HEADER_LENGTH, Received
from gateway.signatures.render import compile_read
from gateway.template import locator

MAX_SIGNATURES = 16

Find = Callable[[Received], list[str]]
Decode = Callable[[str], bytes | None]


def compile_find(scheme: Scheme, params: Mapping[str, str]) -> Find:
    """Return the function that gives the candidate signatures as text, and adds the other items to `fields`."""
    decoded = scheme.method not in {"token", "basic", "jwt-hs256"}
    if len(scheme.headers) == 1 and decoded and not (scheme.separator or scheme.assign or scheme.trim):
        return _compile_plain(scheme.headers[0], scheme.prefix)
    read_items = _compile_items(scheme, params)
    if scheme.at:
        read = compile_read(locator(scheme.at), params)
        return lambda received: read_items(received, str(value)) if (value := read(received)) else []
    names = scheme.headers
    if len(names) == 1:
        only = names[0]
        return lambda received: read_items(received, value) if (value := received.header(only)) else []
    return lambda received: [
        item for name in names if (value := received.header(name)) for item in read_items(received, value)
    ]


def _compile_plain(header: str, prefix: str) -> Find:
    """Return the function for the most common form, one header with one signature."""
    skip = len(prefix)

    def find(received: Received) -> list[str]:
        # The strict decoding that follows takes less than header() lets pass, so that is asked for the reason alone.
        value = received.headers.get(header)
        if not value or len(value) > MAX_HEADER_LENGTH or not value.isascii():
            return [value] if (value := received.header(header)) else []
        return [value[skip:]] if value.startswith(prefix) else []

    return find


def compile_decode(scheme: Scheme) -> Callable[[Sequence[str]], list[bytes]]:
    """Return the function that decodes candidates. Raises SignatureMalformed when there is none of the right form."""
    decode, size = decoder(scheme.encoding), digest_size(scheme)

    def decode_all(candidates: Sequence[str]) -> list[bytes]:
        if len(candidates) == 1 and (only := decode(candidates[0])) and len(only) == size:
            return [only]
        if len(candidates) > MAX_SIGNATURES:
            raise SignatureMalformed(f"{scheme.carrier} holds more than {MAX_SIGNATURES} signatures")
        decoded = [decode(text) for text in candidates]
        fitting = [value for value in decoded if value is not None and (size is None or len(value) == size)]
        if not fitting:
            prefix = f"{scheme.prefix} and " if scheme.prefix else ""
            what = f"{size}-byte {scheme.algorithm} digest" if size else f"{scheme.method} signature"
            raise SignatureMalformed(f"{scheme.carrier} holds no {prefix}{what} in {scheme.encoding}")
        return fitting

    return decode_all


def digest_size(scheme: Scheme) -> int | None:
    """Return the bytes of one signature; None where they depend on the key."""
    if scheme.method == "ed25519":
        return 64
    return None if scheme.asymmetric else hashlib.new(scheme.algorithm, usedforsecurity=False).digest_size


def encode(signature: bytes, encoding: Encoding) -> str:
    """Write a signature as its sender does."""
    match encoding:
        case "hex":
            return signature.hex()
        case "base64":
            return base64.b64encode(signature).decode()
        case "base64url":
            return base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
        case "base64_of_hex":
            return base64.b64encode(signature.hex().encode()).decode()


def decoder(encoding: Encoding) -> Decode:
    """Return the strict decoder: one alphabet and one spelling (but hex in any case, and base64url without padding)."""
    return {
        "hex": _from_hex,
        "base64": _from_base64,
        "base64url": _from_base64url,
        "base64_of_hex": _from_hex_in_base64,
    }[encoding]


def _from_hex(text: str) -> bytes | None:
    try:
        value = bytes.fromhex(text)
    except ValueError:
        return None
    # fromhex passes over blanks, which the length tells.
    return value if len(value) * 2 == len(text) else None


def _from_base64(text: str) -> bytes | None:
    try:
        value = binascii.a2b_base64(text)
    except ValueError:
        return None
    # The decoder passes over junk and spare bits, which encoding again tells.
    return value if binascii.b2a_base64(value, newline=False) == text.encode() else None


def _from_base64url(text: str) -> bytes | None:
    if "+" in text or "/" in text:
        return None
    return _from_base64((text + "=" * (-len(text) % 4)).replace("-", "+").replace("_", "/"))


def _from_hex_in_base64(text: str) -> bytes | None:
    inner = _from_base64(text)
    return _from_hex(inner.decode("ascii", "replace")) if inner is not None else None


def _compile_items(scheme: Scheme, params: Mapping[str, str]) -> Callable[[Received, str], list[str]]:
    """Return the function that gives the candidates of one value."""
    prefix, separator, assign, trim = scheme.prefix, scheme.separator, scheme.assign, scheme.trim
    skip, named, key = len(prefix), scheme.positional, signature_key(scheme, params)
    if separator and assign and not (named or trim):
        return _compile_list(separator, assign, key, prefix)

    def read(received: Received, value: str) -> list[str]:
        items = value.split(separator) if separator else [value]
        items = [item.strip() for item in items] if trim else items
        candidates: list[str] = []
        fields = {**received.fields}
        for name, text in zip(named, items, strict=False):
            fields[name] = "" if name in fields else text
        for item in items[len(named) :]:
            name, found, text = item.partition(assign) if assign else (key, "", item)
            if name == key and text.startswith(prefix):
                candidates.append(text[skip:])
            elif found and name != key:
                # A repeated field is unusable: two readers could each take another one.
                fields[name] = "" if name in fields else text
        received.fields = fields
        return candidates

    return read


def _compile_list(separator: str, assign: str, key: str, prefix: str) -> Callable[[Received, str], list[str]]:
    """Return the function for a list of keys and values, as the most common of the lists have it."""
    skip = len(prefix)

    def read(received: Received, value: str) -> list[str]:
        candidates: list[str] = []
        fields = {**received.fields}
        for item in value.split(separator):
            name, found, text = item.partition(assign)
            if name != key:
                if found:
                    # A repeated field is unusable: two readers could each take another one.
                    fields[name] = "" if name in fields else text
            elif not skip:
                candidates.append(text)
            elif text.startswith(prefix):
                candidates.append(text[skip:])
        received.fields = fields
        return candidates

    return read


def signature_key(scheme: Scheme, params: Mapping[str, str]) -> str:
    """Return the key of the signatures; one the operator knows is a constant, such as a public key."""
    if scheme.key.startswith("{param:"):
        return params.get(scheme.key.removeprefix("{param:").removesuffix("}"), "")
    return scheme.key
