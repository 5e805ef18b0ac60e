"""The catalogue's files are providers, written in one order, and hold what the survey of senders found."""

import csv
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from gateway import build, config, providers
from gateway.answers import Change
from gateway.errors import ConfigError
from gateway.providers import catalogue, catalogue_file
from gateway.providers.contract import Retries
from gateway.scheme import Scheme

FOLDER = resources.files("gateway.providers") / "catalogue"
NAMES = catalogue.names()
LEAST_HMAC = 200
SURVEY = list(csv.DictReader((Path(__file__).parent / "survey.csv").read_text(encoding="utf-8").splitlines()))
UNSAYABLE = {"Hygraph"}
TOP = (
    "title", "docs", "read_from", "confidence", "register_at", "secret_at", "transform", "prefix", "secret_headers",
    "payload_field",     "notes", "params", "signature", "delivery", "retries", "limits", "answers", "handshake",
)  # fmt: skip
DELIVERY = ("id", "type", "time", "version", "equal_bodies", "batch")
LIMITS = ("body_bytes", "answer_seconds")
HANDSHAKE = (
    "kind", "method", "when", "empty_body", "signed", "token", "token_pattern", "require", "status",
    "otherwise_status", "type", "body", "json", "headers", "mac", "learn",
)  # fmt: skip
WHOLE = """
title = "Acme"
docs = ""
read_from = ["docs: acme.example"]
confidence = "medium"
register_at = "the webhook settings of Acme"
secret_at = "the same page"

[[signature]]
header = "X-Acme-Signature"
"""


def document(name: str) -> dict[str, Any]:
    """Parse a provider's file."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def names_of(cls: type) -> tuple[str, ...]:
    """Return the keys of a table that is read into a dataclass."""
    return tuple(field.name for field in fields(cls) if field.init)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_a_provider(name: str) -> None:
    """It loads under its own name and says what an operator needs to set the provider up."""
    provider = providers.get(name)
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)
    assert provider.name == name
    assert provider.schemes
    assert all((provider.title, provider.register_at, provider.secret_at, provider.read_from))
    assert not provider.docs or provider.docs.startswith("https://")
    assert all(note.endswith(".") for note in provider.notes)


@pytest.mark.parametrize("name", NAMES)
def test_params_are_those_that_are_used(name: str) -> None:
    """Every constant that a scheme or a handshake takes from the operator is told where to find, and no other."""
    provider = providers.get(name)
    used = re.findall(r"\{param:([a-z_]+)\}", (FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    assert set(provider.params) == set(used)


@pytest.mark.parametrize("name", NAMES)
def test_keys_are_in_order(name: str) -> None:
    """Keys stand in the order of what they are read into, so that two files can be compared."""
    whole = document(name)
    tables = [
        (whole, TOP),
        *((signature, names_of(Scheme)) for signature in whole["signature"]),
        (whole.get("delivery", {}), DELIVERY),
        (whole.get("retries", {}), names_of(Retries)),
        (whole.get("limits", {}), LIMITS),
        *((answer, names_of(Change)) for answer in whole.get("answers", {}).values()),
        *((handshake, HANDSHAKE) for handshake in whole.get("handshake", ())),
    ]
    for table, order in tables:
        assert list(table) == sorted(table, key=order.index)


@pytest.mark.parametrize("name", NAMES)
def test_defaults_are_left_out(name: str) -> None:
    """A file says only what differs from the default, so that what it says is what matters."""
    defaults = {field.name: field.default for field in fields(Scheme) if field.init}
    for signature in document(name)["signature"]:
        assert not [key for key, value in signature.items() if value == defaults[key]]
    assert document(name).get("transform") != "transforms.generic:transform"


def test_most_senders_sign_with_an_hmac() -> None:
    """At least two hundred of the catalogue's providers are checked by an HMAC."""
    signing = [name for name in NAMES if providers.get(name).schemes[0].method == "hmac"]
    assert len(signing) >= LEAST_HMAC


@pytest.mark.parametrize("row", SURVEY, ids=lambda row: row["sender"])
def test_a_surveyed_sender_is_described_or_left_out_with_a_reason(row: dict[str, str]) -> None:
    """Each has its provider, or a line among those left out; of those sure to sign with an HMAC hardly any is."""
    if not row["provider"]:
        assert re.split(r" [(/]", row["sender"])[0] in (FOLDER / "README.md").read_text(encoding="utf-8")
        assert (row["class"], row["confidence"]) != ("hmac", "high") or row["sender"] in UNSAYABLE
    for name in row["provider"].split():
        assert name in providers.names()


def test_only_the_named_file_is_read() -> None:
    """A start reads no file but those of the providers it asks for."""
    program = (
        "from gateway import providers; from gateway.providers import catalogue\n"
        "assert 'linear' in providers.names() and not catalogue.load.cache_info().currsize\n"
        "assert providers.get('linear') is providers.get('linear')\n"
        "assert catalogue.load.cache_info().currsize == 1"
    )
    subprocess.run([sys.executable, "-c", program], check=True)  # noqa: S603 - our own text


@pytest.mark.parametrize("name", ["nobody", "../catalogue/linear", "linear.toml", ""])
def test_an_unknown_name_is_no_path(name: str) -> None:
    """What is not the name of a file of the catalogue reads nothing."""
    with pytest.raises(KeyError):
        providers.get(name)


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("title =", "titel =", "titel: is not a known key; did you mean title?"),
        ('docs = ""', "", "docs: is missing; add it"),
        ('docs = ""', "docs = 1", "docs: is not a text"),
        ('"medium"', '"certain"', "confidence: is not one of 'high', 'medium', 'low'"),
        ("[[signature]]", "[signature]", "signature: is not a list"),
        ("[[signature]]", "[signature", "Expected ']'"),
        ("header =", "haeder =", "signature[0].haeder: is not a known key; did you mean header?"),
        ('"X-Acme-Signature"', '"X Acme"', "signature[0]: 'X Acme' is not a header name"),
        ("[[signature]]", '[delivery]\nid = "body:/id"\n[[signature]]', "delivery: 'body:/id' is not a locator"),
        ("[[signature]]", "[delivery]\nid = [1]\n[[signature]]", "delivery.id[0]: is not a text"),
        ("[[signature]]", '[retries]\nhorizon_hours = "1"\n[[signature]]', "retries.horizon_hours: is not a number"),
        ("[[signature]]", "[answers]\naccepted = 204\n[[signature]]", "answers.accepted: is not a table"),
        ('"X-Acme-Signature"', '"X-Acme-Signature"\ntrim = 1', "signature[0].trim: is not true or false"),
    ],
)
def test_a_malformed_file_is_a_sentence(before: str, after: str, sentence: str) -> None:
    """It names file and key and says what is wrong with it."""
    assert catalogue_file.parse("acme", WHOLE).title == "Acme"
    with pytest.raises(ConfigError) as caught:
        catalogue_file.parse("acme", WHOLE.replace(before, after))
    assert str(caught.value).startswith(f"catalogue/acme.toml: {sentence}")


def test_an_unconfirmed_provider_is_told_at_start(tmp_path: Any) -> None:
    """One whose scheme nobody could confirm is noted with how to test it, and a confirmed one is not."""
    path = tmp_path / "gateway.toml"
    path.write_text(
        '[event_api]\nkey = "${KEY}"\n[sources.gogs]\nprovider = "gogs"\nsecrets = ["${A}"]\n'
        '[sources.linear]\nprovider = "linear"\nsecrets = ["${B}"]\n'
    )
    loaded = config.load(path, {"KEY": "k", "A": "a" * 20, "B": "b" * 20})
    assert build.notes(loaded, 0) == {
        "gogs": "how Gogs signs was not confirmed by its own documentation; have it send a test webhook and see that "
        "it is accepted, and that it is refused with another secret"
    }
