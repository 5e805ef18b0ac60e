"""The files of deploy/, and the programs that check them where this machine has them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent.parent
DEPLOY = ROOT / "deploy"


def documents(text: str) -> list[dict[str, Any]]:
    """Return the documents of a YAML text."""
    return [document for document in yaml.safe_load_all(text) if document]


def program(name: str, *, where: str = "") -> str:
    """Return the path of a program, one of this environment first; skip the test where there is none."""
    own = str(Path(sys.executable).parent)
    found = shutil.which(name, path=f"{own}:{where or os.environ['PATH']}")
    if found is None:
        pytest.skip(f"there is no {name} on this machine")
    return found


def run(*command: str | Path, cwd: Path | None = None, **environ: str) -> str:
    """Run a program and return all that it wrote; fail with that where it fails."""
    done = subprocess.run(  # noqa: S603 - the programs that the tests name
        list(map(str, command)), cwd=cwd, env=environ or None, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout
