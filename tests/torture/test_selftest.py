"""`gateway selftest` as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.world import ENVIRON, TOML


def selftest(config: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    command = [sys.executable, "-m", "gateway", "selftest", "--config", str(config), *options]
    environ = {**os.environ, **ENVIRON}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - our own code


def test_selftest_leaves_nothing_but_a_verdict(tmp_path: Path) -> None:
    """A short torture beside the configured inbox passes, counts what it did, and touches and leaves nothing there."""
    config, inbox = tmp_path / "gateway.toml", tmp_path / "inbox.db"
    config.write_text(TOML.format(url="http://127.0.0.1:9"))
    inbox.write_bytes(b"not to be opened")
    done = selftest(config, "--seconds", "2", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"] == "passed"
    assert found["fsync"]["median_ms"] > 0
    assert found["processes"]["kill_9"] >= 1
    assert found["power"]["losses"] >= 1
    assert set(tmp_path.iterdir()) == {config, inbox}
    assert inbox.read_bytes() == b"not to be opened"


def test_selftest_for_a_person(tmp_path: Path) -> None:
    """Without --json the verdict is a few labelled lines, the disk's fsync first and the verdict last."""
    config = tmp_path / "gateway.toml"
    config.write_text(TOML.format(url="http://127.0.0.1:9"))
    done = selftest(config, "--seconds", "2", "--seed", "7")
    assert done.returncode == 0, done.stdout + done.stderr
    head, disk, *_, verdict = done.stdout.splitlines()
    assert "seed 7" in head
    assert disk.startswith("Disk     an fsync takes ")
    assert verdict.startswith("Verdict  passed: ")


def test_selftest_without_a_folder(tmp_path: Path) -> None:
    """Where the inbox's folder cannot be used, the sentence names file, key and fix, and the code is 2."""
    config = tmp_path / "gateway.toml"
    config.write_text(TOML.format(url="http://127.0.0.1:9") + '[inbox]\nurl = "sqlite:missing/inbox.db"\n')
    done = selftest(config, "--seconds", "3")
    assert done.returncode == 2
    assert f"{config}: inbox.url: " in done.stderr
    assert "missing" in done.stderr
