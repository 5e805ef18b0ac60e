"""What the commands tell of rotated secrets, hidden URLs and sources that enforce nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from gateway.admin.documents import SecretDocument
from gateway.cli import secret_uses
from tests.cli.conftest import Beside, Cli
from tests.signed import BODIES, signed_headers
from tests.world import ENVIRON, TOML

TOKEN = "a-hidden-part-of-the-url"
NOW = 1_800_000_000_000
DAY = 86_400_000
MORE = """
[sources.door]
provider = "github"
secrets = [{{ value = "${{NEW}}", label = "2026-10" }}, {{ value = "${{GITHUB_SECRET}}", not_after = {end} }}]
path_token = "${{TOKEN}}"
enforce = false
"""


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what the source of this file needs."""
    monkeypatch.setenv("TOKEN", TOKEN)
    monkeypatch.setenv("NEW", "the new secret of the door")


async def test_sources_tells_when_a_secret_was_last_needed(beside: Beside) -> None:
    """Of several secrets each has a line: when it was last needed, how often, and when it ends."""
    world = beside.world
    await world.stop()
    await world.start(MORE.format(end="2126-12-01"), TOKEN=TOKEN, NEW="the new secret of the door")
    for name in ("one", "two"):
        headers = [(key, name if key == "x-github-delivery" else value) for key, value in old_headers()]
        assert (await world.post(f"door/{TOKEN}", headers, BODIES["github"]))[0] == 200
    out = (await beside("sources")).out
    assert "door: secret 2026-10 not needed within the retention\n" in out
    assert "door: secret GITHUB_SECRET last needed " in out
    assert "2 times within the retention; ends 2126-12-01 23:59:59Z" in out
    [row] = [row for row in (await beside("sources", "--json")).json if row["source"] == "door"]
    assert row["secrets"] == 2
    assert [(use["label"], use["uses"]) for use in row["secret_uses"]] == [("2026-10", 0), ("GITHUB_SECRET", 2)]
    assert abs(row["secret_uses"][1]["last_used_at"] - time.time() * 1000) < 60_000


def old_headers() -> tuple[tuple[str, str], ...]:
    """Sign as a sender does that still has the old secret."""
    return signed_headers("github", BODIES["github"])


@pytest.mark.parametrize(
    ("ago", "count", "words"),
    [
        (3 * DAY, 12, "last needed 3 days ago, 12 times within the retention"),
        (DAY, 1, "last needed 24 hours ago, once within the retention"),
        (90_000, 2, "last needed 90 seconds ago, 2 times within the retention"),
        (-5_000, 2, "last needed 0 ms ago, 2 times within the retention"),
    ],
)
def test_when_it_was_is_said_in_its_unit(ago: int, count: int, words: str) -> None:
    """The age of the last use is told in days, hours, minutes, seconds or milliseconds."""
    new = SecretDocument(label="new", not_after=None, uses=0, last_used_at=None)
    old = SecretDocument(label="old", not_after=None, uses=count, last_used_at=NOW - ago)
    said = list(secret_uses.sentences([new, old], NOW))
    assert said == ["secret new not needed within the retention", f"secret old {words}"]


def test_the_path_token_is_shown_on_demand_alone(cli: Cli, folder: Path) -> None:
    """`gateway sources` prints a place-holder, and the token where --reveal asks for it; `gateway check` never does."""
    (folder / "gateway.toml").write_text(TOML.format(url="http://127.0.0.1:9") + MORE.format(end="2126-12-01"))
    assert "/webhooks/door/<path_token>" in cli("sources").out
    assert TOKEN not in cli("sources").out + cli("sources", "--json").out + cli("check").out
    assert f"/webhooks/door/{TOKEN}" in cli("sources", "--reveal").out


def test_check_warns_of_the_end_of_a_secret(cli: Cli, folder: Path) -> None:
    """A secret that has ended is named by its label, and the file is still without fault."""
    (folder / "gateway.toml").write_text(TOML.format(url="http://127.0.0.1:9") + MORE.format(end="2001-12-01"))
    result = cli("check")
    assert result.code == 0
    assert "the secret GITHUB_SECRET ended on 2001-12-01 at 23:59 UTC and matches no more; remove it" in result.out


async def test_send_reaches_a_hidden_url(beside: Beside) -> None:
    """A sample goes to the whole URL, with its token, which is printed nowhere."""
    world = beside.world
    await world.stop()
    await world.start(MORE.format(end="2126-12-01"), TOKEN=TOKEN, NEW="the new secret of the door")
    path = world.folder / "gateway.toml"
    path.write_text(path.read_text().replace("port = 0", f"port = {world.gateway.port}", 1))
    result = await beside("send", "door")
    assert (result.code, "accepted" in result.out) == (0, True)
    assert TOKEN not in result.out + result.err


async def test_send_signs_with_a_secret_that_has_not_ended(beside: Beside) -> None:
    """Of several secrets the first that still matches signs the sample."""
    world = beside.world
    await world.stop()
    ended = '{ value = "${NEW}", not_after = 2001-01-01 }'
    more = f'\n[sources.door]\nprovider = "github"\nsecrets = [{ended}, "${{GITHUB_SECRET}}"]\n'
    await world.start(more, NEW="the new secret of the door")
    result = await beside.send("door")
    assert (result.code, "accepted" in result.out) == (0, True)
    [history] = await world.settled(1)
    assert history.entry.delivery.secret == "GITHUB_SECRET"


async def test_show_tells_what_was_doubtful(beside: Beside) -> None:
    """The life of a delivery that failed verification says so, and which check it was."""
    world = beside.world
    await world.stop()
    await world.start(MORE.format(end="2126-12-01"), TOKEN=TOKEN, NEW="the new secret of the door")
    await world.post(f"door/{TOKEN}", [("x-github-event", "push"), ("x-github-delivery", "d-1")], BODIES["github"])
    told = (await beside("show", "unverified:d-1")).out
    assert "no, and kept all the same, as enforce = false: signature_missing: " in told
    [document] = (await beside("show", "unverified:d-1", "--json")).json
    assert (document["verified"], document["secret"]) == (False, None)
    assert document["doubt"].startswith("signature_missing: ")
    assert ENVIRON["GITHUB_SECRET"] not in told
