from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest
import yaml

from gateway.config import load
from tests.deploy.deployed import DEPLOY, program, run
from tests.deploy.test_kubernetes import ENVIRON

COMPOSE = DEPLOY / "compose"
DOCUMENT = yaml.safe_load((COMPOSE / "compose.yaml").read_text())
SERVICES = DOCUMENT["services"]


def test_it_follows_the_schema_of_compose() -> None:
    """The file is one of the Compose specification."""
    schema = json.loads((files("check_jsonschema.builtin_schemas.vendor") / "compose-spec.json").read_text())
    jsonschema.validate(DOCUMENT, schema)


def test_everything_is_there() -> None:
    """The services are those of the plan, and every file that one mounts exists."""
    assert set(SERVICES) == {"gateway", "inngest", "postgres", "otel-collector", "jaeger", "prometheus", "grafana"}
    mounted = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    assert [path for path in mounted if path.startswith(".") and not (COMPOSE / path).exists()] == []
    assert {path for path in mounted if not path.startswith(".")} == set(DOCUMENT["volumes"])
    build = SERVICES["gateway"]["build"]
    assert (COMPOSE / build["context"] / build["dockerfile"]).exists()


def test_only_the_gateway_is_reachable() -> None:
    """Every other port is one of this machine alone, since those pages ask nobody for a password."""
    for name, service in SERVICES.items():
        assert name == "gateway" or all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
    gateway = SERVICES["gateway"]
    assert gateway["read_only"]
    assert gateway["cap_drop"] == ["ALL"]


def test_the_configuration_is_valid(tmp_path: Path) -> None:
    """The gateway takes its file with the variables of example.env, all of which the services ask for."""
    names = [line.partition("=")[0] for line in (COMPOSE / "example.env").read_text().splitlines() if line[0] != "#"]
    text = (COMPOSE / "compose.yaml").read_text()
    assert [name for name in names if f"${{{name}:?}}" not in text] == []
    path = tmp_path / "gateway.toml"
    path.write_text((COMPOSE / "gateway.toml").read_text())
    given = {**dict.fromkeys(names, "0123456789abcdef"), **ENVIRON}
    config = load(path, {name: value for name, value in given.items() if name in names})
    assert config.inbox.shared


@pytest.mark.parametrize("path", sorted(COMPOSE.rglob("*.y*ml")), ids=lambda path: path.name)
def test_every_file_is_yaml(path: Path) -> None:
    """What is mounted into the services can be read."""
    assert yaml.safe_load(path.read_text())


def test_prometheus_takes_its_configuration(tmp_path: Path) -> None:
    """Prometheus's own tool takes the file, with the token and the rules where it looks for them."""
    text = (COMPOSE / "prometheus.yml").read_text()
    (tmp_path / "token").write_text("token")
    (tmp_path / "alerts.yaml").write_text((DEPLOY / "monitoring/alerts.yaml").read_text())
    (tmp_path / "prometheus.yml").write_text(text.replace("/run/secrets/admin_token", str(tmp_path / "token")))
    run(program("promtool"), "check", "config", tmp_path / "prometheus.yml")
