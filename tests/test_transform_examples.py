"""The worked examples of docs/transforms.md make of their payloads what they say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from gateway import Skip
from gateway.config import load as load_config
from gateway.find import load
from gateway.golden.cases import read
from gateway.model import Entry
from gateway.stamp import Stamped
from gateway.transform import Runner
from tests.mapped import delivery, mapper

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "transforms.md").read_text(encoding="utf-8")
EXAMPLES = {
    title: (code, json.loads(payload), json.loads(events))
    for title, code, payload, events in re.findall(
        r"^### (.+?)\n\n```python\n(.*?)```\n\n```json\n(.*?)```\n\n```json\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE
    )
}
TABLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
ENVIRON = {"ACME_SECRET": "an example key of thirty-two byt", "INNGEST_EVENT_KEY": "key", "BRANCH": "feature/blue"}


def module(title: str) -> str:
    """Return the name of the module of an example."""
    return f"example_{re.sub(r'[^a-z]+', '_', title.lower())}"


@pytest.fixture(autouse=True)
def examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Write every example as a module in a folder of its own."""
    for title, (code, _, _) in EXAMPLES.items():
        (tmp_path / f"{module(title)}.py").write_text(code)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield tmp_path
    for title in EXAMPLES:
        sys.modules.pop(module(title), None)


@pytest.fixture
async def acme_api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Serve Acme's API on this machine: every customer is on the plan gold."""
    app = web.Application()

    async def customer(_: web.Request) -> web.Response:
        return web.json_response({"plan": "gold"})

    app.router.add_get("/customers/c-9", customer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    monkeypatch.setenv("ACME_API", f"http://{host}:{port}")
    yield
    await runner.cleanup()


async def made(title: str, folder: Path) -> list[dict[str, Any]]:
    """Return the events that an example makes of its payload, as they would be sent, twice over."""
    _, payload, _ = EXAMPLES[title]
    reference = f"{module(title)}:transform"
    sent = delivery(json.dumps(payload).encode(), id="evt-1", type=payload.get("type", "order"))
    runner = Runner()
    items = [(Entry(key, sent), mapper(load(reference, folder), reference)) for key in (1, 2)]
    first, second = await runner.run(items)
    await runner.close()
    assert first == second
    assert isinstance(first, Stamped | Skip), first
    return [json.loads(event.body) for event in first.events] if isinstance(first, Stamped) else []


def test_there_are_examples() -> None:
    """Every kind of mapping that people ask for has its example."""
    titles = ["Rename", "Filter", "Split", "Enrich", "Schedule", "Dedupe by a key of one's own", "Mask personal data"]
    assert list(EXAMPLES) == titles


@pytest.mark.parametrize("title", EXAMPLES)
async def test_example(title: str, examples: Path, acme_api: None) -> None:
    """The transform, as it stands on the page, makes of the payload below it the events below that."""
    _, _, expected = EXAMPLES[title]
    events = await made(title, examples)
    assert [{key: event[key] for key in shown} for event, shown in zip(events, expected, strict=True)] == expected


async def test_enriching_without_the_api(examples: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API that does not answer makes a dead letter with a reason."""
    monkeypatch.setenv("ACME_API", "http://127.0.0.1:9")
    with pytest.raises(AssertionError, match="raised ClientConnectorError"):
        await made("Enrich", examples)


def test_unknown_state(examples: Path) -> None:
    """A state that the table of the first example does not have is an error, and nothing is guessed."""
    transform = load(f"{module('Rename')}:transform", examples)
    with pytest.raises(KeyError):
        transform(delivery(b'{"state": "?"}', content=b'{"state": "?"}'))


def test_configuration(tmp_path: Path) -> None:
    """The pieces of gateway.toml on the page are valid, and the branch is the event API's environment."""
    pieces = [table for table in TABLES if "pytest" not in table]
    path = tmp_path / "gateway.toml"
    # No package of that name is installed here; tests/cli/test_new.py installs it.
    path.write_text("\n".join(pieces).replace('transform = "acme"', 'transform = "transforms.generic:transform"'))
    config = load_config(path, ENVIRON)
    assert config.event_api.env == "feature/blue"
    assert config.record.keep == ("product.name",)


def test_configuration_of_pytest(tmp_path: Path) -> None:
    """The lines for pytest are understood."""
    [table] = [tomllib.loads(table) for table in TABLES if "pytest" in table]
    [cases] = read(table["tool"]["pytest"]["ini_options"]["gateway_golden"], tmp_path)
    assert (cases.reference, cases.prefix) == ("acme_transform:transform", "acme")
    [pattern] = read(re.findall(r"`(tests/\* = .+?)`", PAGE), tmp_path)
    assert pattern.transform(tmp_path / "tests" / "acme") == "maps.acme:transform"


def test_types(examples: Path) -> None:
    """Every example passes mypy in its strict mode, on the types that the gateway publishes."""
    options = ["--strict", "--config-file=", "--cache-dir", str(ROOT / ".mypy_cache" / "examples")]
    command = [sys.executable, "-m", "mypy", *options, *sorted(map(str, examples.glob("*.py")))]
    environ = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, check=False, timeout=50, env=environ)  # noqa: S603 - ours
    assert (done.returncode, done.stdout.decode()) == (0, f"Success: no issues found in {len(EXAMPLES)} source files\n")
