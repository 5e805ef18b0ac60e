"""What the README shows works as it stands there."""

import re
from pathlib import Path

import pytest

from gateway import Event, Skip, build
from gateway.config import Config, SourceConfig, load
from gateway.config.models import EventApiConfig, ServerConfig
from gateway.find import load as load_transform
from tests.mapped import delivery

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
ENVIRON = {
    "INNGEST_EVENT_KEY": "key",
    "STRIPE_WEBHOOK_SECRET": "whsec_1",
    "SLACK_SIGNING_SECRET": "8f742231b10e8888abcd99yyyzzz85a5",
    "ACME_SECRET": "an example key of thirty-two byt",
}


def blocks(language: str) -> list[str]:
    """Return the README's code blocks of a language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_configuration(tmp_path: Path) -> None:
    """The two pieces of gateway.toml are one valid file."""
    path = tmp_path / "gateway.toml"
    path.write_text("\n".join(blocks("toml")))
    config = load(path, ENVIRON)
    assert set(config.sources) == {"stripe", "slack", "acme"}
    assert config.sources["acme"].signature


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        ("push", b"{}", Skip("not a pull request")),
        ("pull_request", b'{"action": "opened"}', Event("pull_request.opened", {"action": "opened"})),
    ],
)
def test_transform(tmp_path: Path, kind: str, body: bytes, expected: Event | Skip) -> None:
    """The ten-line transform does what its docstring says."""
    [code] = blocks("python")
    (tmp_path / f"readme_{kind}.py").write_text(code)
    function = load_transform(f"readme_{kind}:transform", tmp_path)
    assert function(delivery(type=kind, body=body, content=body)) == expected


@pytest.mark.parametrize(("model", "prefix"), [(ServerConfig, "server"), (EventApiConfig, "event_api")])
def test_every_setting_of_a_table_is_listed(model: type[ServerConfig | EventApiConfig], prefix: str) -> None:
    """The table of settings names every key."""
    missing = [key for key in model.model_fields if f"`{prefix}.{key}`" not in README]
    assert missing == []


def test_every_setting_of_a_source_and_every_table_is_listed() -> None:
    """No key of a source, and no table, is left out."""
    assert [key for key in SourceConfig.model_fields if not re.search(rf"`[\w.<>]*\b{key}`|`{key} ", README)] == []
    assert [key for key in Config.model_fields if f"`{key}." not in README] == []


def test_how_transforms_run(tmp_path: Path) -> None:
    """The tables of docs/running-transforms.md are a valid source, whose types choose as the page says."""
    text = (ROOT / "docs" / "running-transforms.md").read_text()
    table, isolation = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "transforms").mkdir()
    code = "".join(f"def {name}(delivery): ...\n" for name in ("paid", "invoice", "rest"))
    (tmp_path / "transforms" / "acme.py").write_text(code)
    path = tmp_path / "gateway.toml"
    path.write_text(f'{isolation}provider = "hmac"\nverify = "none"\n{table}')
    mapper = build.sources(load(path, ENVIRON))["acme"].mapper
    assert mapper.isolation
    assert (mapper.isolation.workers, mapper.isolation.memory_mb) == (2, 256)
    chosen = [mapper.chosen(kind).reference for kind in ("invoice.paid", "invoice.sent", "order.made")]
    assert chosen == [f"./transforms/acme.py:{name}" for name in ("paid", "invoice", "rest")]


def test_decisions_are_numbered() -> None:
    """Each decision has a page of its own number and a title that repeats it."""
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    numbers = [int(page.name[:4]) for page in pages]
    assert numbers == sorted(set(numbers))
    assert all(page.read_text().startswith(f"# {int(page.name[:4])}. ") for page in pages)
