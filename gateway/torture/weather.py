"""What an event API does to a gateway on bad days: faults at random, and outages."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from random import Random

from gateway.dev.event_api import LocalEventApi
from gateway.dev.faults import Answer, Fault, Hang, Reset, Truncate, WrongIds

FAULTS = 0.2
REBIND_SECONDS = 5.0

_REFUSES_ALL = b'{"ids":[""],"status":400,"error":"try again"}'

_FAULTS: dict[str, Fault] = {
    "reset unread": Reset("unread"),
    "reset read": Reset("read"),
    "reset after storing": Reset("stored"),
    "hangs after storing": Hang(stored=True),
    "answer cut in half": Truncate(),
    "200 without ids": WrongIds(0),
    "200 of another service": Answer(200, body=b"<html></html>"),
    "400 for everything": Answer(400, body=_REFUSES_ALL),
    "401": Answer(401),
    "429": Answer(429, {"Retry-After": "1"}),
    "500": Answer(500),
    "503": Answer(503),
}


class Weather:
    """Plays faults on an event API until it is told to be calm; `faults` counts them by name."""

    def __init__(self, event_api: LocalEventApi, rng: Random) -> None:
        self.faults: Counter[str] = Counter()
        self._event_api = event_api
        self._rng = rng
        self._deck: list[str] = []
        event_api.behave = self._behave

    def calm(self) -> None:
        """Play no more faults."""
        self._event_api.behave = None

    async def outage(self, seconds: float) -> None:
        """Let the event API refuse connections for a while."""
        self.faults["outage"] += 1
        await self._event_api.stop()
        await asyncio.sleep(seconds)
        async with asyncio.timeout(REBIND_SECONDS):
            while True:
                with contextlib.suppress(OSError):  # a connection of someone else has borrowed the port
                    return await self._event_api.start()
                await asyncio.sleep(0.05)

    def _behave(self, _number: int, _body: bytes) -> Fault | None:
        """Play a fault now and then; each of them once before any of them again."""
        if self._rng.random() >= FAULTS:
            return None
        if not self._deck:
            self._deck = self._rng.sample(list(_FAULTS), len(_FAULTS))
        name = self._deck.pop()
        self.faults[name] += 1
        return _FAULTS[name]
