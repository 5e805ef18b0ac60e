"""Every published vector, through the public configuration: a gateway.toml, loaded, built and asked to verify."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import ConfigError
from gateway.model import Delivery, Request
from gateway.rejections import RequestRejected
from gateway.verify import verify
from tests.configured import configured

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "signatures.json").read_text())
NOW = 1_700_000_000_000


def verdict(vector: dict[str, Any], folder: Path) -> str:
    """Tell whether a gateway configured for the vector's scheme takes its request."""
    now = vector["clock"] * 1000 if vector["clock"] else NOW
    headers = tuple((name.lower(), value) for name, value in vector["headers"])
    query = vector["url"].partition("?")[2]
    request = Request(vector["method"], "/webhooks/x", query, headers, vector["body"].encode(), now, vector["url"])
    try:
        source = configured(folder, vector["signature"], vector["secrets"])
        return "valid" if isinstance(verify(request, source, now), Delivery) else "a reply"
    except (RequestRejected, ConfigError):
        return "invalid"


@pytest.mark.parametrize("vector", VECTORS, ids=[vector["id"] for vector in VECTORS])
def test_published_vector(vector: dict[str, Any], tmp_path: Path) -> None:
    """A vector that a vendor published gets the verdict the vendor gives it."""
    assert verdict(vector, tmp_path) == vector["expected"]


def test_a_genuine_vector_spoilt_in_any_part_is_refused(tmp_path: Path) -> None:
    """Of every genuine vector whose signature covers the body, a byte more in the body is refused."""
    taken = []
    for vector in VECTORS:
        if vector["expected"] != "valid":
            continue
        source = configured(tmp_path, vector["signature"], vector["secrets"])
        spoilt = {**vector, "body": vector["body"] + "x"}
        if any(scheme.covers_body for scheme in source.schemes) and verdict(spoilt, tmp_path) == "valid":
            taken.append(vector["id"])
    assert taken == []


def test_the_table_is_whole() -> None:
    """The table holds the vectors of 44 senders and more, of every method that has one, both genuine and not."""
    assert len({vector["sender"] for vector in VECTORS}) >= 44
    methods = {scheme.get("method", "hmac") for scheme in map(first, VECTORS)}
    assert methods >= {"hmac", "hash", "ed25519", "ecdsa-p256", "rsa-pkcs1", "jwt-hs256"}
    assert Counter(vector["expected"] for vector in VECTORS)["invalid"] >= 45


def first(vector: dict[str, Any]) -> dict[str, Any]:
    """Return the vector's scheme, or the strongest of its versions."""
    signature = vector["signature"]
    return dict(signature[0] if isinstance(signature, list) else signature)
