from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from gateway.config import schema

ROOT = Path(__file__).parents[2]

GOOD = """
[server]
port = 8080
body_timeout_seconds = 2.5
[event_api]
key = "file:secrets/event_key"
[log]
format = "json"
[sources.stripe]
provider = "stripe"
secrets = ["${STRIPE_WEBHOOK_SECRET}"]
[sources.acme]
provider = "hmac"
secrets = ["${ACME_SECRET}", "file:/run/secrets/acme"]
prefix = "acme"
metadata = true
[sources.acme.signature]
header = "X-Acme-Signature"
also = ["X-Acme-Signature-2"]
tolerance_seconds = 60
[sources.acme.delivery]
id = ["header:X-Acme-Delivery", "json:/id"]
type = "json:/type"
"""

BAD = [
    "[sever]",
    "[server]\nprot = 1",
    '[server]\nport = "80"',
    "[server]\nport = 65536",
    '[event_api]\nkey = "literal"',
    '[log]\nlevel = "warn"',
    "[sources.x]",
    '[sources.x]\nprovider = "acme"',
    '[sources."Bad Name"]\nprovider = "github"',
    '[sources.x]\nprovider = "github"\nsecrets = ["literal"]',
    '[sources.x]\nprovider = "github"\nsecret = ["${X}"]',
    '[sources.x]\nprovider = "hmac"\nsignature = {}',
    '[sources.x]\nprovider = "hmac"\nsignature = {header = "X", hash = "sha256"}',
    '[sources.x]\nprovider = "hmac"\ndelivery = {id = "X-Id"}',
]


def test_published_schema_is_current() -> None:
    """The published schema is what `python -m gateway.config` prints."""
    command = [sys.executable, "-m", "gateway.config"]
    printed = subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout  # noqa: S603 - our own module
    assert printed == (ROOT / "docs" / "gateway.schema.json").read_bytes()
    assert json.loads(printed) == schema()


def test_schema_is_a_schema() -> None:
    """The schema is a valid one of the draft it names."""
    assert schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(schema())


def test_good_file() -> None:
    """A file that the gateway takes is valid under the schema."""
    Draft202012Validator(schema()).validate(tomllib.loads(GOOD))


@pytest.mark.parametrize("text", BAD)
def test_bad_file(text: str) -> None:
    """Unknown keys, wrong types and written-out secrets are invalid under the schema, so that editors mark them."""
    document = {"sources": {"ok": {"provider": "github"}}, **tomllib.loads(text)}
    assert not Draft202012Validator(schema()).is_valid(document)


def test_every_key_is_described() -> None:
    """Every key of every table has a description."""
    described = dict(_keys(schema()))
    assert len(described) > 40
    assert [key for key, description in described.items() if not description] == []


def _keys(node: Any) -> Iterator[tuple[str, str]]:
    definitions = node["$defs"]
    for table, properties in [("", node["properties"]), *((t, d["properties"]) for t, d in definitions.items())]:
        for key, value in properties.items():
            target = definitions[value["$ref"].rpartition("/")[2]] if "$ref" in value else value
            yield f"{table}.{key}", target.get("description", "")
