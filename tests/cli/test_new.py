"""A package for a transform of one's own: from nothing to tested, in the five commands of docs/transforms.md."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

import pytest

from gateway import recording
from tests.cli.conftest import Cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "transforms.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^## From nothing.*?```\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)[0].splitlines()
# What pip is not to do here is said by the environment, so that the commands are those of the page.
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_QUIET": "1"}
# Plugins for the tests of this project, which whoever writes a transform need not have.
OTHERS = {"PYTEST_ADDOPTS": "-p no:asyncio -p no:hypothesispytest"}
FILES = [
    ".gitignore",
    "README.md",
    "pyproject.toml",
    "src/acme_transform/__init__.py",
    "src/acme_transform/py.typed",
    "tests/golden/order_created.delivery.json",
    "tests/golden/order_created.events.json",
    "tests/golden/test_order.delivery.json",
    "tests/golden/test_order.events.json",
]


def environment(folder: Path) -> dict[str, str]:
    """Make a virtual environment that has what this one has; return the variables that a shell in it would have."""
    place = folder / "environment"
    venv.create(place, symlinks=True)
    [packages] = place.glob("lib/python*/site-packages")
    ours = next(path for path in sys.path if path.endswith("site-packages"))
    (packages / "ours.pth").write_text(f"import site; site.addsitedir({ours!r})\n")
    for name in ("gateway", "pip", "pytest"):
        source = (Path(sys.executable).parent / name).read_text()
        script = place / "bin" / name
        script.write_text(re.sub(r"\A#!.*", f"#!{place / 'bin' / 'python'}", source))
        script.chmod(0o755)
    path = f"{place / 'bin'}:{os.environ['PATH']}"
    return {**os.environ, **OFFLINE, **OTHERS, "VIRTUAL_ENV": str(place), "PATH": path}


def run(command: str, environ: dict[str, str]) -> str:
    """Run a command as it stands, expect it to succeed, and return what it printed."""
    done = subprocess.run(shlex.split(command), env=environ, capture_output=True, check=False, timeout=50)  # noqa: S603 - ours
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.timeout(120)
def test_from_nothing_to_a_tested_transform(folder: Path) -> None:
    """The five commands of the page, in an empty folder, end in tests that pass; then its name is enough."""
    assert len(COMMANDS) == 5
    environ = environment(folder)
    work = folder / "work"
    work.mkdir()
    os.chdir(work)
    printed = [run(command, environ) for command in COMMANDS]
    assert "2 passed" in printed[4]
    golden = work / "acme" / "tests" / "golden" / "order_created.events.json"
    assert '"name": "acme/order.created"' in golden.read_text()
    (work / "gateway.toml").write_text(
        '[sources.acme]\nprovider = "hmac"\nverify = "none"\nprefix = "acme"\ntransform = "acme"\n'
    )
    tried = run(
        "gateway try acme acme/tests/golden/order_created.delivery.json --json", {**environ, "INNGEST_DEV": "1"}
    )
    assert '"id": "acme:evt-1001:order.created"' in tried


def test_files(cli: Cli, folder: Path) -> None:
    """The package has these files, its recordings are canonical, and what to do next is told."""
    result = cli("new", "transform", "acme")
    assert (result.code, result.err) == (0, "")
    made = sorted(
        path.relative_to(folder / "acme").as_posix() for path in Path("acme").absolute().rglob("*") if path.is_file()
    )
    assert made == FILES
    assert result.out.splitlines()[-2:] == ["  pip install -e ./acme", "  pytest ./acme"]
    for path in Path("acme").rglob("*.delivery.json"):
        assert recording.dumps(recording.loads(path.read_bytes())) == path.read_bytes()
    assert "{{" not in "".join(path.read_text() for path in Path("acme").rglob("*") if path.is_file())


def test_of_a_known_provider(cli: Cli) -> None:
    """A package for a provider's webhooks goes by its name, prefix and all, into the folder that was named."""
    result = cli("new", "transform", "my-issues", "--provider", "linear", "--dir", "maps/of linear")
    assert (result.code, result.out.splitlines()[-1]) == (0, "  pytest './maps/of linear'")
    document = tomllib.loads(Path("maps/of linear/pyproject.toml").read_text())
    assert document["project"]["entry-points"]["gateway.transforms"] == {"my-issues": "my_issues_transform:transform"}
    golden = ["tests/golden = my_issues_transform:transform prefix=linear"]
    assert document["tool"]["pytest"]["ini_options"]["gateway_golden"] == golden
    assert (
        recording.loads(Path("maps/of linear/tests/golden/test_order.delivery.json").read_bytes()).provider == "linear"
    )


@pytest.mark.parametrize(
    "name", ["", "Acme", "1acme", "acme_shop", "acme--shop", "-acme", "acme-", "a b", "../x", "ä", "a" * 41]
)
def test_what_is_no_name(cli: Cli, name: str) -> None:
    """A text that could not be a package, a source and an entry point is refused with the rule."""
    result = cli("new", "transform", "--", name)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith(f"{name!r} is no name for a transform; write lower-case letters")
    assert list(Path().iterdir()) == []


def test_nothing_is_overwritten(cli: Cli) -> None:
    """A folder with anything in it, or a file, is left alone; an empty folder is taken."""
    Path("full").mkdir()
    Path("full/mine").write_text("mine")
    Path("empty").mkdir()
    refused = cli("new", "transform", "full")
    assert (refused.code, refused.err) == (2, "full is not empty, and nothing is overwritten; name another folder\n")
    assert [path.name for path in Path("full").iterdir()] == ["mine"]
    file = cli("new", "transform", "acme", "--dir", "full/mine")
    assert (file.code, file.err) == (2, "full/mine is a file; name another folder with --dir\n")
    assert cli("new", "transform", "acme", "--dir", "empty").code == 0


def test_unknown_provider(cli: Cli) -> None:
    """A provider that there is none of is refused, with those whose names are near."""
    result = cli("new", "transform", "acme", "--provider", "linera")
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("--provider linera: there is no such provider; did you mean linear")
    far = cli("new", "transform", "acme", "--provider", "zzzzzz")
    assert far.err == (
        "--provider zzzzzz: there is no such provider; for a sender of your own leave it out, or write hmac\n"
    )
