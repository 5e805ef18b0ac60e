from __future__ import annotations

from pathlib import Path

import pytest

from gateway import quarantine
from tests.cli.conftest import Beside, Cli
from tests.cli.stored import configure, store

LEARNED = '[sources.asana]\nprovider = "asana"\nsecrets = ["learned:asana_secret"]\n'


async def test_while_a_gateway_serves(beside: Beside, folder: Path) -> None:
    """The backup is taken beside a gateway that serves, which keeps restore away until it has stopped."""
    await beside.world.send("acme", b'{"id": "before", "type": "made"}')
    await beside.world.settled(1)
    made = await beside("backup", "kept.db", "--json")
    assert made.code == 0
    assert made.json["file"] == str(folder / "kept.db")
    assert (made.json["deliveries"], made.json["unfinished"]) == (1, 0)
    await beside.world.send("acme", b'{"id": "after", "type": "made"}')
    refused = await beside("restore", "kept.db", "--yes")
    assert refused.code == 2
    assert "already served by process" in refused.err
    await beside.world.stop()
    restored = await beside("restore", "kept.db", "--yes")
    assert restored.code == 0
    assert "1 delivery as of 20" in restored.out
    assert "`gateway restore` of that undoes this" in restored.out
    await beside.world.start()
    assert [history.entry.delivery.id for history in await beside.world.settled(1)] == ["before"]


def test_learned_secrets_and_rejections(cli: Cli, folder: Path) -> None:
    """What belongs to the inbox comes back where it is missing, for its owner alone, and replaces nothing."""
    configure(folder, "def transform(delivery): ...\n")
    with (folder / "gateway.toml").open("a") as file:
        file.write(LEARNED)
    store([{"a": 1}])
    learned, rejected = folder / "asana_secret", quarantine.path_of(folder / "inbox.db")
    learned.write_text("a learned secret of some length")
    rejected.write_bytes(b'{"tally": 1}\n')
    assert cli("backup", "kept.db").code == 0
    learned.unlink()
    rejected.unlink()
    again = cli("restore", "kept.db", "--yes", "--json")
    assert (again.code, again.json["notes"]) == (0, [])
    assert learned.read_text() == "a learned secret of some length"
    assert rejected.read_bytes() == b'{"tally": 1}\n'
    assert {file.stat().st_mode & 0o777 for file in (learned, rejected)} == {0o600}
    learned.write_text("another one that came meanwhile")
    later = cli("restore", "kept.db", "--yes")
    assert "another secret already" in later.err
    assert "a learned secret" not in later.err + later.out
    assert learned.read_text() == "another one that came meanwhile"


def test_nobody_to_ask(cli: Cli, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --yes and without a terminal nothing is restored."""
    configure(folder, "def transform(delivery): ...\n")
    store([{"a": 1}])
    cli("backup", "kept.db")
    before = (folder / "inbox.db").read_bytes()
    refused = cli("restore", "kept.db")
    assert (refused.code, "add --yes" in refused.err) == (2, True)
    assert (folder / "inbox.db").read_bytes() == before


def test_without_an_inbox(cli: Cli, folder: Path) -> None:
    """There is nothing to back up where nothing was served."""
    configure(folder, "def transform(delivery): ...\n")
    refused = cli("backup", "kept.db")
    assert (refused.code, "there is no inbox" in refused.err) == (2, True)
    assert not (folder / "kept.db").exists()
