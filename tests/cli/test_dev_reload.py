"""`gateway dev` takes what is saved, and keeps what works when that does not."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.cli import child
from tests.cli.conftest import Cli

CONFIG = """
[server]
port = 0
[admin]
port = 0
[event_api]
key = "${ACME_EVENT_KEY}"
[sources.own]
provider = "hmac"
verify = "none"
transform = "./maps/own.py:transform"
"""
TRANSFORM = "from .shared import NAME\nfrom gateway import Event\n\ndef transform(_):\n    return Event(NAME, {})\n"


async def logged(dev: asyncio.subprocess.Process, event: str) -> dict[str, Any]:
    """Wait for a line of the log."""
    assert dev.stderr is not None
    async with asyncio.timeout(child.SECONDS):
        async for raw in dev.stderr:
            if raw.startswith(b"{") and (line := json.loads(raw))["event"] == event:
                return dict(line)
    raise AssertionError(f"it ended without {event}")


async def sent_as(cli: Cli, source: str) -> str:
    """Send a sample; return the name of its event once that is forwarded."""
    sent = await asyncio.to_thread(cli, "send", source)
    delivery = json.loads(sent.out.partition(": 200 ")[2])["delivery"]
    shown: dict[str, Any] = {"events": []}
    async with asyncio.timeout(child.SECONDS):
        while not shown["events"]:
            [shown] = (await asyncio.to_thread(cli, "show", delivery, "--json")).json
    return str(shown["events"][0]["name"])


async def test_reload_on_change(cli: Cli, folder: Path) -> None:
    """A saved transform, or what it imports, or gateway.toml is in use at once; a fault is said with its line."""
    maps = folder / "maps"
    maps.mkdir()
    (maps / "own.py").write_text(TRANSFORM)
    (maps / "shared.py").write_text("NAME = 'first'\n")
    (folder / "gateway.toml").write_text(CONFIG)
    async with child.serving() as dev:
        assert await sent_as(cli, "own") == "hmac/first"
        (maps / "shared.py").write_text("NAME = 'first\n")
        refused = await logged(dev, "configuration_refused")
        assert f"({maps / 'shared.py'}:1)" in refused["faults"][0]
        (maps / "shared.py").write_text("NAME = 'other'\n")
        renewed = await logged(dev, "transforms_renewed")
        assert renewed["files"] == [str(maps / "shared.py")]
        assert await sent_as(cli, "own") == "hmac/other"
        (folder / "gateway.toml").write_text(
            CONFIG + '[sources.new]\nprovider = "stripe"\nsecrets = ["${NEW_SECRET}"]\n'
        )
        assert (await logged(dev, "configuration_reloaded"))["sources"] == ["new", "own"]
        assert await sent_as(cli, "new") == "stripe/customer.created"
