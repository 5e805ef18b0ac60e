"""A secret that the sender gives in its first handshake: trusted once, kept, and never changed by another."""

import asyncio
import hashlib
import hmac
import json
import stat

import pytest
from structlog.testing import capture_logs

from gateway.config import load
from gateway.errors import ConfigError
from gateway.history import Query
from tests.learning import FIRST, SOURCE
from tests.world import ENVIRON, World

SECOND = "0" * 64


def signed(secret: str, body: bytes) -> list[tuple[str, str]]:
    """Sign a body as the sender does."""
    return [("x-hook-signature", hmac.new(secret.encode(), body, hashlib.sha256).hexdigest())]


async def deliver(world: World, secret: str, number: int) -> tuple[int, str]:
    """Post a delivery; return status, and the reason where it was refused."""
    body = json.dumps({"id": f"d-{number}"}).encode()
    status, text, _ = await world.ask("POST", "asana", signed(secret, body), body)
    return status, json.loads(text).get("reason", "")


async def offer(world: World, secret: str) -> tuple[int, str]:
    """Start a handshake; return status and the secret that is sent back."""
    status, _, headers = await world.ask("POST", "asana", [("X-Hook-Secret", secret)], b"{}")
    return status, headers.get("X-Hook-Secret", "")


async def test_the_first_handshake_gives_the_secret(idle_world: World) -> None:
    """Before it deliveries are 503; it is answered, kept privately, told in the log, and used at once."""
    with capture_logs() as lines:
        await idle_world.start(SOURCE)
        assert await deliver(idle_world, FIRST, 1) == (503, "secret_missing")
        assert "start the handshake at the sender" in str(lines)
        assert await offer(idle_world, FIRST) == (200, FIRST)
    kept = idle_world.folder / "asana.secret"
    assert kept.read_text() == FIRST
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    [line] = [line for line in lines if line["event"] == "secret_learned"]
    assert (line["source"], str(kept) in line["detail"], "trusted" in line["detail"]) == ("asana", True, True)
    assert FIRST not in str(lines)
    assert await deliver(idle_world, FIRST, 1) == (200, "")
    assert await deliver(idle_world, SECOND, 2) == (401, "signature_mismatch")


async def test_later_handshakes_change_nothing(idle_world: World) -> None:
    """The same secret is answered again, another one is refused with what to do, also after a restart and a reload."""
    await idle_world.start(SOURCE)
    await offer(idle_world, FIRST)
    for _ in range(2):
        assert await offer(idle_world, FIRST) == (200, FIRST)
        with capture_logs() as lines:
            assert await offer(idle_world, SECOND) == (401, "")
        assert "delete the file" in str(lines)
        assert await deliver(idle_world, FIRST, 1) == (200, "")
        await idle_world.gateway.reload(idle_world.read_config())
        assert await offer(idle_world, SECOND) == (401, "")
        await idle_world.stop()
        await idle_world.start(SOURCE)
    assert (idle_world.folder / "asana.secret").read_text() == FIRST


async def test_deliveries_that_repeat_the_secret(idle_world: World) -> None:
    """A signed delivery is kept although it carries the header of the handshake, and without that header."""
    await idle_world.start(SOURCE)
    await offer(idle_world, FIRST)
    body = b'{"id": "d-1"}'
    status, _, _ = await idle_world.ask("POST", "asana", [*signed(FIRST, body), ("X-Hook-Secret", FIRST)], body)
    [found] = await idle_world.gateway.inbox.search(Query())
    assert (status, "x-hook-secret" in found.entry.delivery.headers) == (200, False)


async def test_a_race_of_first_handshakes(idle_world: World) -> None:
    """Of several first handshakes at once exactly one is answered, and its secret is the one that is kept."""
    await idle_world.start(SOURCE)
    offers = [f"{number:064x}" for number in range(8)]
    answers = await asyncio.gather(*(offer(idle_world, secret) for secret in offers))
    [taken] = [secret for status, secret in answers if status == 200]
    assert (idle_world.folder / "asana.secret").read_text() == taken
    assert await deliver(idle_world, taken, 1) == (200, "")


async def test_starting_over(idle_world: World) -> None:
    """Once the operator deletes the file and reloads, the next handshake gives the secret."""
    await idle_world.start(SOURCE)
    await offer(idle_world, FIRST)
    (idle_world.folder / "asana.secret").unlink()
    await idle_world.gateway.reload(idle_world.read_config())
    assert await deliver(idle_world, FIRST, 1) == (503, "secret_missing")
    assert await offer(idle_world, SECOND) == (200, SECOND)
    assert await deliver(idle_world, SECOND, 1) == (200, "")


async def test_a_folder_that_is_gone(idle_world: World) -> None:
    """Where the secret cannot be kept the handshake is 503 and teaches nothing, until it can."""
    folder = idle_world.folder / "secrets"
    folder.mkdir()
    await idle_world.start(SOURCE.replace("learned:asana", "learned:secrets/asana"))
    folder.rmdir()
    assert await offer(idle_world, FIRST) == (503, "")
    assert await deliver(idle_world, FIRST, 1) == (503, "secret_missing")
    folder.mkdir()
    assert await offer(idle_world, FIRST) == (200, FIRST)
    assert [path.name for path in folder.iterdir()] == ["asana.secret"]


async def test_a_file_that_was_put_there_meanwhile(idle_world: World) -> None:
    """A file that appeared after the start is not overwritten, and the log says to reload."""
    await idle_world.start(SOURCE)
    (idle_world.folder / "asana.secret").write_text(SECOND)
    with capture_logs() as lines:
        assert await offer(idle_world, FIRST) == (401, "")
    assert "reload the configuration" in str(lines)
    await idle_world.gateway.reload(idle_world.read_config())
    assert await deliver(idle_world, SECOND, 1) == (200, "")


@pytest.mark.parametrize("secret", ["short", "with a blank in its middle", "x" * 129, '{"body": "of a delivery"}'])
async def test_what_is_no_secret(idle_world: World, secret: str) -> None:
    """A token that is too short, too long or not of the grammar is not learned."""
    await idle_world.start(SOURCE)
    assert await offer(idle_world, secret) == (400, "")
    assert not (idle_world.folder / "asana.secret").exists()


async def test_what_is_no_key_of_the_scheme(idle_world: World) -> None:
    """A token that is not written as the scheme's secrets are is not learned."""
    await idle_world.start(SOURCE.replace('header = "X-Hook-Signature"', 'header = "X-S"\nsecret_encoding = "hex"'))
    assert await offer(idle_world, "0123456789abcdef-not-hex") == (400, "")
    assert not (idle_world.folder / "asana.secret").exists()
    assert await offer(idle_world, FIRST) == (200, FIRST)


FAULTS = {
    "no handshake gives one": ("learn = true", "learn = false", "is never learned"),
    "beside another secret": ('"learned:asana.secret"', '"learned:asana.secret", "${ACME_SECRET}"', "stands alone"),
    "no such folder": ("learned:asana", "learned:nowhere/asana", "create the folder"),
    "no name": ("learned:asana.secret", "learned:", "names no file"),
}


@pytest.mark.parametrize(("old", "new", "part"), FAULTS.values(), ids=FAULTS)
def test_faults(idle_world: World, old: str, new: str, part: str) -> None:
    """A learned secret that could not come about is a fault of the configuration."""
    path = idle_world.write_config(SOURCE.replace(old, new))
    with pytest.raises(ConfigError, match=part):
        load(path, ENVIRON)


def test_two_sources_with_one_file(idle_world: World) -> None:
    """Two sources do not share the file of a learned secret."""
    path = idle_world.write_config(SOURCE + SOURCE.replace("sources.asana", "sources.other"))
    with pytest.raises(ConfigError, match=r"sources.other.secrets\[0\]: is the file of source asana too"):
        load(path, ENVIRON)
