"""A simulated event API: what it does to a request is the weather's to say, what it keeps is the oracle's to know."""

from __future__ import annotations

import asyncio
import enum
import json
import random
from collections.abc import Awaitable, Callable

from gateway.errors import EventApiInterrupted, EventApiUnreachable
from gateway.outcome import Answer
from tests.simulation.oracle import Oracle

TIMEOUT_SECONDS = 30.0
SMALL_BYTES = 2_000
Point = Callable[[str], Awaitable[None]]


class Weather(enum.Enum):
    """How the event API behaves for a while."""

    FAIR = "fair"
    DOWN = "down"  # no connection
    BLACK_HOLE = "black hole"  # connections and no answers; some requests are kept
    LOSSY = "lossy"  # keeps everything and answers every other time
    FAILING = "failing"  # 503 for three of ten, some of them kept
    THROTTLED = "throttled"  # 429 for every other one
    REFUSING = "refusing"  # 400 for everything
    FLAKY = "flaky"  # 400 now and then, after a part was kept
    LOCKED = "locked"  # 401
    GARBLED = "garbled"  # keeps, and answers 200 with a page
    SMALL = "small"  # 413 for what is large


class SimulatedEventApi:
    """Satisfies `gateway.sender.Transport`. Refuses events whose data say that they are poison."""

    def __init__(self, oracle: Oracle, rng: random.Random, point: Point) -> None:
        self.weather = Weather.FAIR
        self.requests = 0
        self._oracle = oracle
        self._rng = rng
        self._point = point

    async def send(self, body: bytes, seed: str, _traceparent: str) -> Answer:
        """Answer as the weather has it."""
        self.requests += 1
        self._oracle.count(self.weather.value)
        if self.weather is Weather.DOWN:
            await asyncio.sleep(self._rng.uniform(0, 3))
            raise EventApiUnreachable("no connection to the event API: Connection refused")
        await self._point("request sent")
        await asyncio.sleep(self._rng.uniform(0.001, 1))
        events = json.loads(body)
        ids = [event["id"] for event in events]
        self._oracle.request(body, seed, ids)
        try:
            answer = await self._answer(body, events, seed)
        except EventApiInterrupted:
            self._oracle.answer(ids, seed, None)
            raise
        doubtful = answer.status == 503 or not answer.readable
        self._oracle.answer(ids, seed, None if doubtful else answer.status)
        await self._point("request kept")
        return answer

    async def _answer(self, body: bytes, events: list[dict[str, object]], seed: str) -> Answer:
        chance = self._rng.random()
        if self.weather in {Weather.BLACK_HOLE, Weather.LOSSY} and chance < 0.5:
            self._keep(events, seed)
        match self.weather:
            case Weather.BLACK_HOLE:
                await asyncio.sleep(TIMEOUT_SECONDS)
                raise EventApiInterrupted("no answer from the event API: TimeoutError")
            case Weather.LOSSY if chance < 0.5:
                raise EventApiInterrupted("no answer from the event API: Connection reset by peer")
            case Weather.FLAKY if chance < 0.2:
                return Answer(400, self._keep(events[: self._rng.randrange(len(events))], seed).ids, "broken inside")
            case Weather.GARBLED:
                self._keep(events, seed)
                return Answer(200, readable=False)
            case Weather.FAILING if chance < 0.1:
                self._keep(events, seed)
                return Answer(503, readable=False)
        return self._refusal(chance, len(body)) or self._keep(events, seed)

    def _refusal(self, chance: float, size: int) -> Answer | None:
        """Return the answer to a request of which nothing is kept, or None."""
        match self.weather:
            case Weather.FAILING if chance < 0.3:
                return Answer(503, readable=False)
            case Weather.THROTTLED if chance < 0.5:
                return Answer(429, error="slow down", retry_after=self._rng.choice([None, 0.0, 5.0, 900.0, 1e9]))
            case Weather.REFUSING:
                return Answer(400, error="broken inside")
            case Weather.LOCKED:
                return Answer(401, error="Event key not found")
            case Weather.SMALL if size > SMALL_BYTES:
                return Answer(413)
        return None

    def _keep(self, events: list[dict[str, object]], seed: str) -> Answer:
        """Keep the events up to the first that is poison, as the event API does with an array."""
        ids: list[str] = []
        for event in events:
            data = event["data"]
            if isinstance(data, dict) and data["kind"] == "poison":
                return Answer(400, tuple(ids), "this event is refused")
            self._oracle.arrive(str(event["id"]), json.dumps(event).encode())
            ids.append(f"{seed}/{len(ids)}")
        return Answer(200, tuple(ids))
