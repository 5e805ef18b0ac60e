import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import apsw
import pytest

from gateway.inbox import sqlite_schema
from tests.cli.conftest import Cli
from tests.world import TOML

GITHUB = '[sources.hub]\nprovider = "github"\nsecrets = ["${GITHUB_SECRET}"]\n'
FAULTY = """
[server]
prot = 8080
[sources.pay]
provider = "strip"
secrets = ["sk_canary_written_out"]
[sources.hub]
provider = "github"
secrets = ["${NOT_SET}"]
[sources.chat]
provider = "slack"
"""
KEYS = ["server.prot", "sources.pay.secrets[0]", "sources.pay.provider", "sources.hub.secrets[0]", "sources.chat"]


def write(text: str) -> Path:
    """Write ./gateway.toml."""
    path = Path("gateway.toml")
    path.write_text(text)
    return path


def test_good_file(cli: Cli, folder: Path) -> None:
    """A file without faults is exit code 0 and a line that names its sources."""
    write(TOML.format(url="http://127.0.0.1:9"))
    result = cli("check")
    assert (result.code, result.err) == (0, "")
    assert f"{folder}/gateway.toml: no faults; 6 sources: acme, github, shopify" in result.out
    assert list(folder.iterdir()) == [folder / "gateway.toml"]


def test_notes(cli: Cli) -> None:
    """What an operator should know is told, by name of the source, and is no fault."""
    write('[sources.open]\nprovider = "hmac"\nverify = "none"\n')
    result = cli("check")
    assert result.code == 0
    assert 'sources.open: verify = "none": anyone who knows the URL can send' in result.out
    document = cli("check", "--json").json
    assert (list(document["notes"]), document["faults"]) == (["open"], [])


@pytest.mark.parametrize("command", ["check", "serve", "dev"])
def test_all_faults_at_once(cli: Cli, command: str) -> None:
    """Every fault of a file is a line that names file and key, whichever command meets it, and exit code 2."""
    write(FAULTY)
    result = cli(command)
    assert (result.code, result.out) == (2, "")
    lines = result.err.splitlines()
    assert all(line.startswith("gateway.toml: ") for line in lines)
    assert all(any(f": {key}" in line for line in lines) for key in (KEYS if command != "dev" else KEYS[:3]))
    assert "sk_canary" not in result.err


def test_faults_as_json(cli: Cli, folder: Path) -> None:
    """The faults are there for programs, too, with the same exit code."""
    write(FAULTY)
    result = cli("check", "--json")
    assert (result.code, result.err) == (2, "")
    assert result.json["file"] == f"{folder}/gateway.toml"
    assert len(result.json["faults"]) == len(KEYS)
    assert "sk_canary" not in result.out


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("absent.toml", "the file does not exist"),
        (".", "the file cannot be read"),
        ("torn.toml", "line 1: Invalid value"),
    ],
)
@pytest.mark.parametrize("by", ["option", "environment"])
def test_unusable_file(cli: Cli, monkeypatch: pytest.MonkeyPatch, name: str, told: str, by: str) -> None:
    """A file that cannot be read is named with the reason, by every command, and none steps in for it."""
    Path("torn.toml").write_text("a = ")
    write(GITHUB)
    option = ["--config", name] if by == "option" else []
    if by == "environment":
        monkeypatch.setenv("GATEWAY_CONFIG", name)
    commands = (["check"], ["serve"], ["dev", "--once"], ["send", "hub"], ["sources"], ["deliveries"], ["show", "x"])
    for command in (*commands, ["try", "hub", "x"]):
        result = cli(*command, *option)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"{name}: {told}")


def folder_is_missing(path: Path) -> None:
    """Leave the inbox's folder out."""
    path.parent.rmdir()


def is_a_folder(path: Path) -> None:
    """Make a folder where the inbox should be."""
    path.mkdir()


def is_no_database(path: Path) -> None:
    """Put a text where the inbox should be."""
    path.write_text("a text that is long enough to be looked at as a database" * 10)


def belongs_to_another(path: Path) -> None:
    """Put another program's database where the inbox should be."""
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE t (x)")
    database.close()


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (folder_is_missing, "/data does not exist; make it"),
        (is_a_folder, "/data/inbox.db is a folder; name a file"),
        (is_no_database, "is damaged or no SQLite database"),
        (belongs_to_another, "is a SQLite database of another program"),
    ],
)
def test_inbox_that_could_not_be_used(cli: Cli, folder: Path, spoil: Callable[[Path], None], told: str) -> None:
    """What would keep `gateway serve` from opening its inbox is found without starting it."""
    (folder / "data").mkdir()
    spoil(folder / "data" / "inbox.db")
    write(f'[inbox]\nurl = "sqlite:data/inbox.db"\n{GITHUB}')
    result = cli("check")
    assert result.code == 2
    assert result.err.startswith(f"{folder}/gateway.toml: inbox.url: ")
    assert told in result.err
    assert result.err.count("\n") == 1
    assert len(json.loads(cli("check", "--json").out)["faults"]) == 1


def test_inbox_of_an_older_gateway(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An inbox that `gateway serve` would upgrade is no fault, and is left as it is; other commands say what to do."""
    write(GITHUB)
    path = folder / "inbox.db"
    connection = apsw.Connection(str(path))
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_schema, "SCHEMA", sqlite_schema.SCHEMA - 1)
        sqlite_schema.migrate(connection, 0, 1_000_000)
    connection.close()
    before = path.read_bytes()
    assert cli("check").code == 0
    assert path.read_bytes() == before
    assert "start `gateway serve` once, which upgrades it" in cli("deliveries").err


def test_address_of_another_machine(cli: Cli, folder: Path) -> None:
    """A host that is not this machine's is found without listening on it."""
    write(f'[server]\nhost = "192.0.2.1"\n{GITHUB}')
    result = cli("check")
    assert result.code == 2
    assert result.err.startswith(f"{folder}/gateway.toml: server.host: this machine cannot listen on 192.0.2.1")
