"""Providers that users write: a file beside the configuration or an installed package, and the documented example."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import build
from gateway.config import load
from gateway.errors import ConfigError
from gateway.find_provider import find
from gateway.model import Delivery, Reply, Request
from gateway.providers import Provider
from gateway.providers.testing import sign, verify
from gateway.rejections import SignatureMismatch
from gateway.verify import verify as verify_source

DOCUMENTED = (Path(__file__).parents[1] / "docs" / "providers.md").read_text()
EXAMPLE, TRIAL = re.findall(r"```python\n(.*?)```", DOCUMENTED, re.DOTALL)
NOW = 1_700_000_000_000
SECRET = "a signing key of Acme's"


@pytest.fixture(autouse=True)
def _forget_modules() -> Iterator[None]:
    """Take back what loading providers does to the process."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a configuration's folder with the documented example in it."""
    (tmp_path / "providers").mkdir()
    (tmp_path / "providers" / "acme.py").write_text(EXAMPLE)
    return tmp_path


def request(provider: Provider, kind: str = "order", secret: str = SECRET) -> Request:
    """Return a request that the example's sender signed."""
    headers = (("x-acme-id", "d-1"), ("x-acme-time", str(NOW // 1000)), ("x-acme-kind", kind))
    plain = Request("POST", "/webhooks/acme", "", headers, b'{"action": "created"}', NOW)
    return sign(provider.schemes[0], plain, secret)


def test_the_documented_trial(folder: Path) -> None:
    """The documented test of the documented provider passes as it stands."""
    names = {"PROVIDER": find("./providers/acme.py:PROVIDER", folder)}
    exec(TRIAL, names)  # noqa: S102 - our own documentation
    assert "delivery" in names


def test_a_source_of_a_file(folder: Path) -> None:
    """A source whose provider is a file verifies, describes, answers handshakes and refuses as any other."""
    (folder / "gateway.toml").write_text(
        '[sources.a]\nprovider = "./providers/acme.py:PROVIDER"\nsecrets = ["${ACME}"]'
    )
    config = load(folder / "gateway.toml", {"INNGEST_EVENT_KEY": "k", "ACME": SECRET})
    source = build.sources(config)["a"]
    delivery = verify_source(request(source.provider), source, NOW)
    assert isinstance(delivery, Delivery)
    assert (delivery.source, delivery.provider, delivery.type) == ("a", "acme", "order.created")
    assert isinstance(verify_source(request(source.provider, "ping"), source, NOW), Reply)
    with pytest.raises(SignatureMismatch):
        verify_source(request(source.provider, secret="another key altogether"), source, NOW)


def test_a_changed_file_is_read_again(folder: Path) -> None:
    """A file that was changed since is read again, one that was not is the same provider."""
    reference = "providers/acme.py:PROVIDER"
    before = find(reference, folder)
    assert find(reference, folder) is before
    (folder / "providers" / "acme.py").write_text(EXAMPLE.replace('title="Acme"', 'title="Acme Incorporated"'))
    assert find(reference, folder).title == "Acme Incorporated"


@pytest.mark.parametrize(
    ("reference", "text", "sentence"),
    [
        ("gone.py:PROVIDER", "", "cannot be read (No such file or directory); correct the path"),
        ("one.py:PROVIDR", EXAMPLE, "has no PROVIDR; it has PROVIDER"),
        ("one.py:NAME", "NAME = 1", "is of type int; name a gateway.providers.Provider"),
        ("one.py:PROVIDER", "1 / 0", "cannot be loaded: "),
        ("one.py:PROVIDER", "def", "cannot be loaded: "),
        ("one.py:PROVIDER", EXAMPLE.replace("{id}.", "{nothing}."), "signed has the unknown placeholder {nothing}"),
        ("linaer", "", "did you mean linear?"),
    ],
)
def test_a_fault_is_a_sentence(tmp_path: Path, reference: str, text: str, sentence: str) -> None:
    """What is wrong with a user's provider is one sentence of the configuration's faults."""
    (tmp_path / "one.py").write_text(text)
    (tmp_path / "gateway.toml").write_text(f'[sources.a]\nprovider = "{reference}"\nsecrets = ["${{ACME}}"]')
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "gateway.toml", {"INNGEST_EVENT_KEY": "k", "ACME": SECRET})
    assert len(caught.value.faults) == 1
    assert "sources.a.provider: " in caught.value.faults[0]
    assert sentence in caught.value.faults[0]
    assert SECRET not in caught.value.faults[0]


def test_an_installed_provider(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that an installed package offers is found by the entry point's name."""
    (folder / "acme_gateway.py").write_text(EXAMPLE)
    info = folder / "acme_gateway-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-gateway\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[gateway.providers]\nacme-inc = acme_gateway:PROVIDER\nbad = acme_gone:X\n")
    monkeypatch.syspath_prepend(str(folder))
    provider = find("acme-inc", folder)
    assert isinstance(verify(provider, request(provider), [SECRET], NOW), Delivery)
    with pytest.raises(ValueError, match="cannot be loaded"):
        find("bad", folder)
