from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from gateway.config import load
from tests.deploy.deployed import DEPLOY, documents, program, run
from tests.signed import SECRETS

GOLDEN = Path(__file__).parent / "golden"
VERSIONS = ("1.30", "1.37")
PLAIN = sorted(path for path in (DEPLOY / "kubernetes").glob("*/*.yaml") if path.name != "kustomization.yaml")
ENVIRON = {
    "ADMIN_TOKEN_HASH": "sha256:" + "0" * 64,
    "INNGEST_EVENT_KEY": "key",
    "STRIPE_WEBHOOK_SECRET": SECRETS["stripe"],
    "POSTGRES_USER": "gateway",
    "POSTGRES_PASSWORD": "password",
    "POSTGRES_HOST": "postgres",
    "POSTGRES_DATABASE": "gateway",
}


def _validate(objects: list[dict[str, Any]]) -> None:
    assert objects
    for document in objects:
        for version in VERSIONS:
            kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("path", PLAIN, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_plain_files_follow_the_published_schemas(path: Path) -> None:
    """Each file is what Kubernetes takes, from the oldest version that has what is used."""
    _validate(documents(path.read_text()))


@pytest.mark.parametrize("overlay", ["sqlite", "postgres"])
def test_kustomizations_name_what_is_there(overlay: str) -> None:
    """Everything that a kustomization names exists; with kubectl, what it builds follows the schemas."""
    folder = DEPLOY / "kubernetes" / overlay
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    named = [*kustomization["resources"], *kustomization["configMapGenerator"][0]["files"]]
    assert [name for name in named if not (folder / name).exists()] == []
    if kubectl := shutil.which("kubectl"):
        built = documents(run(kubectl, "kustomize", folder))
        _validate(built)
        assert len(built) == 7


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_the_chart_as_it_was_rendered(engine: str) -> None:
    """What the chart made when its golden file was written follows the schemas."""
    _validate(documents((GOLDEN / f"{engine}.yaml").read_text()))


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_the_chart_still_renders_so(engine: str) -> None:
    """The golden file is what helm makes of the chart."""
    command = (program("helm"), "template", "webhooks", DEPLOY / "helm", "--kube-version", "1.34.0")
    rendered = run(*command, "--set", f"engine={engine}")
    assert documents(rendered) == documents((GOLDEN / f"{engine}.yaml").read_text())


def _pods() -> dict[str, dict[str, Any]]:
    found = {path.name: path.read_text() for path in (*PLAIN, *GOLDEN.glob("*.yaml"))}
    return {
        name: document["spec"]["template"]["spec"]
        for name, text in found.items()
        for document in documents(text)
        if document["kind"] in {"StatefulSet", "Deployment"}
    }


@pytest.mark.parametrize(("name", "pod"), _pods().items())
def test_pods_are_confined_and_probed(name: str, pod: dict[str, Any]) -> None:
    """No pod runs as root, writes outside its volumes, or may be sent requests before it is ready."""
    [container] = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    probes = {probe: container[f"{probe}Probe"]["httpGet"] for probe in ("startup", "liveness", "readiness")}
    assert {probe["port"] for probe in probes.values()} == {"admin"}
    assert [probe["path"] for probe in probes.values()] == ["/startupz", "/livez", "/readyz"]
    # preStop, drain_seconds, and ten seconds each for requests and attempts.
    assert container["lifecycle"]["preStop"]["sleep"]["seconds"] + 5 + 20 < pod["terminationGracePeriodSeconds"]


def test_one_file_never_has_two_gateways() -> None:
    """SQLite is a StatefulSet of one, with a volume that one pod alone may mount; PostgreSQL is a Deployment."""
    for text in ((DEPLOY / "kubernetes/sqlite/stateful-set.yaml").read_text(), (GOLDEN / "sqlite.yaml").read_text()):
        [stateful] = [found for found in documents(text) if found["kind"] in {"StatefulSet", "Deployment"}]
        assert (stateful["kind"], stateful["spec"]["replicas"]) == ("StatefulSet", 1)
        [claim] = stateful["spec"]["volumeClaimTemplates"]
        assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]


@pytest.mark.parametrize("place", ["kubernetes/sqlite", "kubernetes/postgres", "helm"])
def test_the_configurations_are_valid(place: str, tmp_path: Path) -> None:
    """The gateway takes the configuration of each."""
    path = tmp_path / "gateway.toml"
    if place == "helm":
        path.write_text(yaml.safe_load((DEPLOY / place / "values.yaml").read_text())["config"])
    else:
        path.write_text((DEPLOY / place / "gateway.toml").read_text())
    config = load(path, ENVIRON)
    assert (config.server.port, config.admin.port) == (8080, 8081)
    assert config.inbox.shared is (place == "kubernetes/postgres")
