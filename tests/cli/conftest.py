"""The command line, called as a user calls it, in a folder of its own."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from gateway.cli import main
from tests.world import ENVIRON, World, running_world


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)


class Cli:
    """Calls commands in this process. No output of any command may ever hold a secret."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *arguments: str | Path) -> Result:
        """Call `gateway` with arguments; return what it left."""
        self._monkeypatch.setattr(sys, "argv", ["gateway", *map(str, arguments)])
        self._capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = self._capsys.readouterr()
        assert isinstance(ended.value.code, int | None)
        result = Result(ended.value.code or 0, captured.out, captured.err)
        for secret in ENVIRON.values():
            assert secret not in result.out + result.err
        assert "Traceback" not in result.out + result.err
        return result


class Beside:
    """Calls commands beside a gateway that runs in this process."""

    def __init__(self, cli: Cli, world: World) -> None:
        self.cli = cli
        self.world = world

    async def __call__(self, *arguments: str | Path) -> Result:
        """Call `gateway` in a thread of its own."""
        return await asyncio.to_thread(self.cli, *arguments)

    async def send(self, source: str, *arguments: str) -> Result:
        """Call `gateway send` for the port that the running gateway has got."""
        return await self("send", source, *arguments, "--url", self.world.url(source))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty folder, with every source's secret in the environment; leave no module and no log behind."""
    monkeypatch.chdir(tmp_path)
    for name in ("GATEWAY_CONFIG", "INNGEST_DEV", "INNGEST_ENV", "INNGEST_BASE_URL", "INNGEST_EVENT_API_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    structlog.reset_defaults()


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Give the command line."""
    return Cli(capsys, monkeypatch)


@pytest.fixture
async def beside(cli: Cli, folder: Path) -> AsyncIterator[Beside]:
    """Give the command line beside a gateway that runs."""
    with capture_logs():
        async with running_world(folder) as world:
            await world.start()
            yield Beside(cli, world)
