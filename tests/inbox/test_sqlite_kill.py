"""A process that is killed while it puts."""

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from gateway.history import Query
from gateway.inbox.sqlite import SqliteInbox

PROJECT = Path(__file__).parents[2]


def put_until_killed(path: Path, acknowledgements: int) -> list[str]:
    """Let a process put until it has acknowledged so many, kill it, and return all that it acknowledged."""
    command = [sys.executable, "-m", "tests.inbox.putter", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=PROJECT) as putter:  # noqa: S603 - our own script
        assert putter.stdout
        seen = [putter.stdout.readline() for _ in range(acknowledgements)]
        putter.kill()
        seen += putter.stdout.readlines()
    assert putter.returncode == -9
    return [line.decode().strip() for line in seen if line.endswith(b"\n")]


@pytest.mark.parametrize("seed", range(4))
async def test_kill_9_loses_nothing_acknowledged(tmp_path: Path, seed: int) -> None:
    """Killed at a random moment, twice, a process has on disk whatever it acknowledged, and the file serves again."""
    random = Random(f"{seed} {os.getpid()}")
    path = tmp_path / "inbox.db"
    acknowledged = {name for _ in range(2) for name in put_until_killed(path, random.randint(1, 1_500))}
    inbox = SqliteInbox.open(path, dedupe_window_ms=1_000_000)
    found = {history.entry.delivery.id for history in await inbox.search(Query(limit=1_000_000))}
    assert len(acknowledged) >= 2
    assert found >= acknowledged
    assert await inbox._write(lambda db: db.pragma("integrity_check")) == "ok"
    await inbox.close()
