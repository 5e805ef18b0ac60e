"""The Dockerfile, where no engine is: a linter reads it, and its steps are carried out in a plain folder."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser

from tests.deploy.deployed import DEPLOY, ROOT, program, run
from tests.world import ENVIRON, TOML

DOCKERFILE = DEPLOY / "Dockerfile"
PLACES = ("/opt/gateway", "/var/lib/gateway", "/src")


def _instructions() -> Iterator[tuple[str, str]]:
    parser = DockerfileParser(str(DOCKERFILE))
    yield from ((step["instruction"], step["value"]) for step in parser.structure if step["instruction"] != "COMMENT")


def test_the_linter_finds_nothing() -> None:
    """Hadolint has nothing to say."""
    assert run(program("hadolint"), DOCKERFILE) == ""


def test_what_the_image_promises() -> None:
    """The last stage runs as nobody in particular, in exec form, ends by SIGTERM, and installs nothing."""
    steps = list(_instructions())
    last = steps[max(number for number, (name, _) in enumerate(steps) if name == "FROM") :]
    said = dict(last)
    assert said["USER"] == "10001:10001"
    assert said["STOPSIGNAL"] == "SIGTERM"
    assert (json.loads(said["ENTRYPOINT"]), json.loads(said["CMD"])) == (["gateway"], ["serve"])
    assert "RUN" not in said
    assert not re.search(
        r"https?://(?!127\.0\.0\.1)|index-url|\.org|\.io/", DOCKERFILE.read_text().replace("org.opencontainers", "")
    )


def test_the_context_has_what_is_copied() -> None:
    """Everything that COPY names is in the project and not left out by .dockerignore, which leaves out the rest."""
    taken = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [
        name for step, value in _instructions() if step == "COPY" and "--from" not in value
        for name in shlex.split(value)[:-1]
    ]  # fmt: skip
    assert sorted(copied) == sorted(taken)
    assert [name for name in copied if not (ROOT / name).exists()] == []


@pytest.mark.long
@pytest.mark.timeout(900)
def test_its_steps_make_a_gateway_that_runs(tmp_path: Path) -> None:
    """Carried out one after the other in a folder, the steps leave a program that takes a configuration."""
    folder = tmp_path / "src"
    folder.mkdir()
    (tmp_path / "var/lib").mkdir(parents=True)
    ids = f"-o {os.geteuid()} -g {os.getegid()}" if os.geteuid() else "-o 10001 -g 10001"
    for step, value in _instructions():
        if step == "COPY" and "--from" not in value:
            *names, target = shlex.split(value)
            for name in names:
                _copy(ROOT / name, folder / target / name if target == "./" else folder / target)
        elif step == "COPY":
            assert (tmp_path / shlex.split(value)[-1].lstrip("/")).is_dir()
        elif step == "RUN":
            command = re.sub("|".join(PLACES), lambda found: str(tmp_path) + found[0], value)
            subprocess.run(  # noqa: S603 - the project's own steps
                ["/bin/sh", "-ec", command.replace("-o 10001 -g 10001", ids)], cwd=folder, check=True
            )
    shutil.rmtree(folder)
    (tmp_path / "gateway.toml").write_text(TOML.format(url="http://127.0.0.1:9"))
    environ = {**os.environ, **ENVIRON, "PYTHONDONTWRITEBYTECODE": "1"}
    checked = run(tmp_path / "opt/gateway/bin/gateway", "check", cwd=tmp_path, **environ)
    assert "no faults; 6 sources" in checked
    assert (tmp_path / "var/lib/gateway").stat().st_mode & 0o777 == 0o700
    assert not (tmp_path / "opt/gateway/bin/pip").exists()


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)
