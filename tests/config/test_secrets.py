from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.config import Config, Secret, SourceConfig, load, schema
from gateway.errors import ConfigError

CANARY = "whsec_CANARY"

FILE = """
[event_api]
key = "${KEY}"
[inbox]
url = "sqlite:inbox.db"
[sources.stripe]
provider = "stripe"
secrets = ["${ONE}", "file:two"]
"""


def _hold_canary(*outputs: str) -> bool:
    return any("CANARY" in output for output in outputs)


def test_a_secret_shows_nothing() -> None:
    """Whatever shows a value shows no secret."""
    secret = Secret(CANARY)
    assert {repr(secret), str(secret), f"{secret}", f"{secret:>40}", f"{secret!r}"} == {"Secret(…)"}
    assert secret.reveal() == CANARY


@pytest.mark.parametrize("duplicate", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_secret_does_not_travel(duplicate: Callable[[Secret], object]) -> None:
    """A secret is neither pickled nor copied."""
    with pytest.raises(TypeError, match="neither copied nor pickled"):
        duplicate(Secret(CANARY))


def test_secrets_compare_by_content() -> None:
    """Equal secrets are one key of a set, and a secret is not the text it holds."""
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert Secret("a") != "a"
    assert Secret("é") == Secret("é")


def test_a_valid_configuration_shows_nothing(tmp_path: Path) -> None:
    """No way of printing a configuration shows a secret that it holds."""
    (tmp_path / "gateway.toml").write_text(FILE)
    (tmp_path / "two").write_text(f"{CANARY}_2")
    config = load(tmp_path / "gateway.toml", {"KEY": CANARY, "ONE": f"{CANARY}_1"})
    assert [secret.reveal() for secret in config.sources["stripe"].secrets] == [f"{CANARY}_1", f"{CANARY}_2"]
    dumps = (config.model_dump_json(), str(config.model_dump(mode="json")), str(config.model_dump()))
    assert not _hold_canary(repr(config), str(config), *dumps, json.dumps(schema()))
    assert json.loads(config.model_dump_json())["event_api"]["key"] == "Secret(…)"


@pytest.mark.parametrize(
    "text",
    [
        f'[event_api]\nkey = "{CANARY}"\n[sources.x]\nprovider = "stripe"\nsecrets = ["{CANARY}", ["{CANARY}"]]',
        f'[sources.x]\nprovider = "stripe"\nsecrets = "{CANARY}"',
        f'[sources.x]\nprovider = "{CANARY}"\nverify = "{CANARY}"\nsecrets = {{a = "{CANARY}"}}',
        f'[sources.x]\nprovider = "stripe"\nsecret = "{CANARY}"\nprefix = "{CANARY} "',
        f'[server]\npublic_url = "https://u:{CANARY}@example.com"\n[event_api]\nurl = "https://{CANARY}@example.com"',
        f'[inbox]\nurl = "postgresql://u:{CANARY}@example.com/db"\n[log]\nlevel = "{CANARY}"',
        '[server]\nhost = "${KEY} "\npublic_url = "${KEY}"\n[event_api]\nurl = "${KEY}"\nenv = "${KEY} "',
        "\n".join(
            f'[sources.{provider}]\nprovider = "{provider}"\nsecrets = ["${{WRONG}}"]'
            for provider in ("stripe", "slack", "standard-webhooks")
        ),
        f'[sources.x]\nprovider = "stripe"\nsecrets = ["{CANARY}"',
        f'[sources.x]\nprovider = "stripe"\nsecrets = ["{CANARY}\\q"]',
        f'[sources.x]\nprovider = "stripe"\nsecrets = {CANARY}',
    ],
)
def test_faults_show_nothing(tmp_path: Path, text: str) -> None:
    """No fault shows a value that could be a secret, wherever it was put by mistake."""
    path = tmp_path / "gateway.toml"
    path.write_text(text)
    environ = {"KEY": CANARY, "WRONG": "sk_live_CANARY!", "INNGEST_EVENT_KEY": CANARY, "INNGEST_DEV": CANARY}
    with pytest.raises(ConfigError) as caught:
        load(path, environ)
    assert not _hold_canary(str(caught.value), repr(caught.value), *caught.value.faults)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_refused_table_shows_nothing() -> None:
    """A table that is made in code shows nothing of what it refuses either."""
    with pytest.raises(ValidationError) as caught:
        SourceConfig.model_validate({"provider": "stripe", "secrets": [CANARY], "prefix": [CANARY]})
    assert not _hold_canary(str(caught.value), repr(caught.value))


def test_configurations_compare(tmp_path: Path) -> None:
    """Two readings of one file are equal, so that a reload can tell whether anything changed."""
    (tmp_path / "gateway.toml").write_text(FILE)
    (tmp_path / "two").write_text("whsec_2")

    def read(key: str) -> Config:
        return load(tmp_path / "gateway.toml", {"KEY": key, "ONE": "whsec_1"})

    assert read("a") == read("a")
    assert read("a") != read("b")
