"""What a process writes of faults that nothing catches: where they came up, and nothing of the data."""

from __future__ import annotations

from pathlib import Path

import aiohttp

from gateway.dev.event_api import LocalEventApi
from tests.process import Process, post
from tests.world import TOML

BURSTS = """
import logging, threading

def burst(card):
    raise ValueError(card)

class Lost:
    def __init__(self, card):
        self.card = card

    def __del__(self):
        raise ValueError(self.card)

def transform(delivery):
    card = delivery.json()["id"]
    logging.getLogger(__name__).warning("seen\\n\\x1b[2Jonce")
    thread = threading.Thread(target=burst, args=("canary-" + card,))
    thread.start()
    thread.join()
    Lost("canary-" + card)
    return []
"""


async def test_faults_of_user_code_outside_our_calls(tmp_path: Path, event_api: LocalEventApi) -> None:
    """A thread or a destructor that fails is told by its frames in a log line, and the gateway serves on."""
    (tmp_path / "bursts.py").write_text(BURSTS)
    config, place = tmp_path / "gateway.toml", "[sources.acme]\n"
    config.write_text(TOML.format(url=event_api.url).replace(place, f"{place}transform = './bursts.py:transform'\n"))
    process = Process(config)
    await process.start()
    async with aiohttp.ClientSession() as session:
        for name in ("one", "two"):
            assert await post(session, process.port, name) == 200
    await process.line("crashed", count=4)
    assert await process.stop() == 0
    crashed = [line for line in process.lines if line["event"] == "crashed"]
    assert {line["where"] for line in crashed} == {"thread", "destructor"}
    assert any("in burst" in line["exception"] and "ValueError" in line["exception"] for line in crashed)
    assert [line["detail"] for line in process.lines if line["event"] == "library"] == ["seen\n\x1b[2Jonce"] * 2
    assert all(text.isascii() and text[:-1].isprintable() for text in process.raw)
    assert [text for text in process.raw if not text.startswith("{") or "canary" in text] == []
