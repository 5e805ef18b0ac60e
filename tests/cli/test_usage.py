import asyncio
from pathlib import Path

import pytest

from tests.cli import child
from tests.cli.conftest import Cli
from tests.world import TOML

COMMANDS = [
    "serve",
    "check",
    "dev",
    "send",
    "sources",
    "deliveries",
    "show",
    "replay",
    "try",
    "new",
    "record",
    "shadow",
    "events",
    "selftest",
]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["--nonsense"], "No such option: --nonsense"),
        (["send"], "Missing argument 'SOURCE'"),
        (["show"], "Missing argument 'ID'"),
        (["try", "stripe"], "Missing argument 'FILE|ID'"),
        (["deliveries", "--bogus"], "No such option: --bogus"),
        (["deliveries", "--limit", "many"], "--limit"),
        (["deliveries", "--state", "lost"], "--state"),
        (["serve", "extra"], "extra"),
        (["send", "stripe", "--repeat", "0"], "--repeat"),
        (["send", "stripe", "--url", "127.0.0.1:8080"], "http://host:port/webhooks/source"),
        (["send", "stripe", "--url", "ftp://127.0.0.1/webhooks/stripe"], "http://host:port/webhooks/source"),
        (["send", "stripe", "--url", "http://127.0.0.1:99999/"], "http://host:port/webhooks/source"),
        (["send", "stripe", "--url", "http://[bad/"], "http://host:port/webhooks/source"),
        (["send", "stripe", "--url", "http://a b/"], "http://host:port/webhooks/source"),
        (["try", "stripe", "x", "--header", "nonsense"], "Name: value"),
    ],
)
def test_misuse(cli: Cli, arguments: list[str], told: str) -> None:
    """A command that cannot be understood is answered with what is wrong with it, and exit code 2."""
    result = cli(*arguments)
    assert (result.code, result.out) == (2, "")
    assert told in " ".join(result.err.split())
    assert "--help" in result.err


def test_no_command(cli: Cli) -> None:
    """Without a command, the commands are listed, and the exit code says that nothing was done."""
    result = cli()
    assert result.code == 2
    assert all(command in result.out + result.err for command in COMMANDS)


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)], ids=" ".join)
def test_help(cli: Cli, command: list[str]) -> None:
    """Every command explains itself, and what it says of its exit codes fits into 80 columns."""
    result = cli(*command, "--help")
    assert (result.code, result.err) == (0, "")
    assert "Usage" in result.out
    assert max(map(len, result.out.splitlines())) <= 80


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", [["sources"], ["sources", "--json"], ["--help"]], ids=" ".join)
def test_output_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, command: list[str], unbuffered: str) -> None:
    """A full disk behind standard output is one sentence and exit code 1."""
    Path("gateway.toml").write_text(TOML.format(url="http://127.0.0.1:9"))
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    result = asyncio.run(child.run(*command, out=Path("/dev/full")))
    assert result.code == 1
    assert result.err == (
        "the output could not be written: No space left on device; make room, or write it elsewhere\n"
    )
