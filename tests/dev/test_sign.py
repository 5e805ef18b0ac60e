"""Samples of providers that have none on file are made from what is known of them."""

import json
import random
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from gateway import build
from gateway.config import load
from gateway.dev.demo_secrets import demo_secret
from gateway.dev.sign import SignedRequest, Spoil, signed_sample
from gateway.model import Delivery, Request
from gateway.verify import verify
from tests.dev.conftest import NOW

URL = "https://hooks.example.com/webhooks/x"
SIGNED_BY_TOKEN = '[sources.x.signature]\nat = "query:token"\nmethod = "token"\n'


def sample(
    folder: Path, tables: str, kind: str | None = None, *, provider: str = "hmac", spoil: Spoil = Spoil.NOTHING
) -> tuple[SignedRequest, Delivery]:
    """Return the sample of a source with such tables, and the delivery that its own gateway makes of it."""
    path = folder / "gateway.toml"
    head = '[server]\npublic_url = "https://hooks.example.com"\n'
    path.write_text(f'{head}[sources.x]\nprovider = "{provider}"\nsecrets = ["${{SECRET}}"]\n{tables}')
    config = load(path, {"INNGEST_EVENT_KEY": "k", "SECRET": demo_secret(provider)})
    source = build.sources(config)["x"]
    made = signed_sample(source, config.sources["x"], kind, url=URL, now=NOW, rng=random.Random(1), spoil=spoil)
    url = f"{URL}?{made.query}" if made.query else URL
    delivery = verify(Request("POST", source.path, made.query, made.headers, made.body, NOW, url), source, NOW)
    assert isinstance(delivery, Delivery)
    return made, delivery


@pytest.mark.parametrize(
    ("provider", "kind", "place"),
    [
        ("brex", "TRANSFER_PROCESSED", "event_type"),
        ("stytch", "MEMBER.CREATE", "action"),
        ("webex", "messages.created", "event"),
    ],
)
def test_any_type_of_a_provider_without_samples(tmp_path: Path, provider: str, kind: str, place: str) -> None:
    """Every type can be asked for that the provider's own could be, and is found where the provider puts it."""
    made, delivery = sample(tmp_path, "", kind, provider=provider)
    assert (made.type, delivery.type) == (kind, kind)
    assert json.loads(made.body)[place] == kind.rpartition(".")[2]


@pytest.mark.parametrize(
    ("provider", "kind", "told"),
    [
        ("webex", "created", "a type of this provider has the form ..., and 'created' has not"),
        ("bitbucket-data-center", "x", ""),
        ("telegram", "message", "tells no event type"),
    ],
)
def test_a_type_that_cannot_be(tmp_path: Path, provider: str, kind: str, told: str) -> None:
    """One that the provider's could not be is a sentence."""
    if not told:
        assert sample(tmp_path, "", kind, provider=provider)[1].type == kind
        return
    with pytest.raises(ValueError, match=told.replace(".", r"\.").replace(r"\.\.\.", ".*")):
        sample(tmp_path, "", kind, provider=provider)


def test_a_source_of_ones_own(tmp_path: Path) -> None:
    """What a user's own table asks for is added to the sample of provider = "hmac", which keeps what it has."""
    tables = (
        '[sources.x.signature]\nat = "json:/proof/value"\nsigned = "{timestamp}.{json:/id}.{header:X-Nonce}"\n'
        'timestamp = "json:/at"\ntimestamp_unit = "ms"\nrequire = [["{query:v}", "2"]]\n'
        '[sources.x.delivery]\nid = "json:/id"\ntype = "json:/type"\ntime = "json:/created_at"\n'
    )
    made, delivery = sample(tmp_path, tables)
    document = json.loads(made.body)
    assert document["id"].startswith("acme_")
    assert (document["at"], delivery.type, delivery.id) == (NOW, "order.created", document["id"])
    assert parse_qs(made.query) == {"v": ["2"]}
    assert len(document["proof"]["value"]) == 64


def test_a_token_in_the_query(tmp_path: Path) -> None:
    """A source that is known by a token in its URL is called with it."""
    made, _ = sample(tmp_path, SIGNED_BY_TOKEN)
    assert list(parse_qs(made.query)) == ["token"]


@pytest.mark.parametrize(
    ("unit", "written"),
    [
        ("s", "1795230000"),
        ("ms", "1795230000123"),
        ("iso8601", "2026-11-21T03:00:00.123Z"),
        ("http_date", "Sat, 21 Nov 2026 03:00:00 GMT"),
    ],
)
def test_times_are_written_as_the_scheme_says(tmp_path: Path, unit: str, written: str) -> None:
    """Each unit is one in which its own gateway reads the time."""
    tables = (
        f'[sources.x.signature]\nheader = "X-S"\nsigned = "{{timestamp}}{{body}}"\ntimestamp = "header:X-T"\n'
        f'timestamp_unit = "{unit}"\n'
    )
    made, _ = sample(tmp_path, tables)
    assert dict(made.headers)["x-t"] == written


def test_nothing_to_tamper_with(tmp_path: Path) -> None:
    """A sample of a source that signs nothing cannot be tampered with, which is a sentence."""
    with pytest.raises(ValueError, match="covers nothing of the request"):
        sample(tmp_path, SIGNED_BY_TOKEN, spoil=Spoil.TAMPERED)
