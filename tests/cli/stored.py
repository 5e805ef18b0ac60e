"""Inboxes with deliveries of a source of one's own, for commands that look at what is stored."""

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

from gateway.inbox.sqlite import SqliteInbox
from gateway.model import Attempt, Delivery, SentEvent, Settlement, State
from tests.signed import dumps
from tests.world import TOML

MORE = '[sources.own]\nprovider = "hmac"\nverify = "none"\nprefix = "shop"\ntransform = "own_map:transform"\n'
DAY = 86_400_000


def configure(folder: Path, transforms: str) -> None:
    """Write a configuration with the source `own`, and the module of its transforms."""
    (folder / "gateway.toml").write_text(TOML.format(url="http://127.0.0.1:9") + MORE)
    (folder / "own_map.py").write_text(transforms)


def store(payloads: Sequence[object], *, names: Sequence[str] = (), days_ago: int = 0) -> None:
    """Keep a delivery of each payload in ./inbox.db: d0, d1, ...; each sent with an event of each name."""
    asyncio.run(_store(payloads, names, int(time.time() * 1000) - 60_000 - days_ago * DAY))


async def _store(payloads: Sequence[object], names: Sequence[str], now: int) -> None:
    inbox = SqliteInbox.open(Path("inbox.db"), dedupe_window_ms=7 * DAY)
    await inbox.put([_delivery(f"d{n}", dumps(payload), now + n) for n, payload in enumerate(payloads)], now)
    while names and (leases := await inbox.lease(500, 60_000, now + 1)):
        sent = [
            tuple(SentEvent(f"own:{lease.entry.delivery.id}:{name}", f"shop/{name}", "01") for name in names)
            for lease in leases
        ]
        accepted = [Attempt(1, now, 5, "accepted", 200)] * len(leases)
        settled = [
            Settlement(State.FORWARDED, attempt=attempt, events=events)
            for attempt, events in zip(accepted, sent, strict=True)
        ]
        await inbox.settle(list(zip(leases, settled, strict=True)), now + 1)
    await inbox.close()


def _delivery(name: str, body: bytes, at: int) -> Delivery:
    return Delivery("own", "hmac", name, "order", at, body, content=body)
