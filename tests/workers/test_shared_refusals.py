"""What providers were refused by all workers together."""

import asyncio
from pathlib import Path
from typing import Any

from gateway import refusals
from gateway.config import Config, load
from gateway.workers.shared_refusals import SharedRefusals
from tests.world import ENVIRON, TOML


def config(folder: Path) -> Config:
    """Return the configuration of the tests."""
    (folder / "gateway.toml").write_text(TOML.format(url="http://127.0.0.1:1"))
    return load(folder / "gateway.toml", ENVIRON)


async def test_a_first_refusal_and_a_success_are_told_at_once(tmp_path: Path) -> None:
    """How often it is refused since then is told later, together; all of it outlives the supervisor."""
    told: list[dict[str, Any]] = []
    loaded = config(tmp_path)
    shared = SharedRefusals(loaded, lambda: 5_000, told.append)
    shared.note("stripe", "rejected", 401, "signature_mismatch")
    assert told[-1]["stripe"]["count"] == 1
    for _ in range(20):
        shared.note("stripe", "unavailable", 503, "inbox_unavailable")
    assert len(told) == 1
    shared.note("nobody", "rejected", 401, "signature_mismatch")
    assert len(told) == 1
    await asyncio.to_thread(shared.save)
    assert refusals.load(refusals.path_of(loaded.inbox_path))["stripe"].count == 21
    shared.note("slack", "rejected", 401, "signature_mismatch")
    assert told[-1]["stripe"]["count"] == 21
    shared.note("stripe", "accepted", 200, "")
    assert told[-1].keys() == {"slack"}
    shared.note("slack", "rejected", 401, "signature_mismatch")
    async with asyncio.timeout(10):
        while len(told) < 4:  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.05)
    assert told[-1]["slack"]["count"] == 2
