"""Play a plan: providers send, the event API has its weather, the process dies and comes back, days pass."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Coroutine
from pathlib import Path

from gateway.errors import InboxUnavailable
from gateway.model import Receipt
from gateway.rejections import VerificationError
from tests.signed import SECRETS, signed
from tests.simulation.event_api import SimulatedEventApi, Weather
from tests.simulation.oracle import Oracle, require
from tests.simulation.plan import HOUR, MINUTE, Plan, Sending, draw
from tests.simulation.process import DAY, OUTSIDE, Process
from tests.simulation.virtual_loop import VirtualClock

RETRY_SECONDS = (5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR)
DOWN_SECONDS = 5.0
TOLERANCE_MS = 300_000
STALE_MS = 3 * 3_600_000
MOST_DRAIN_HOURS = 24 * 7


class Days:
    """One run of one plan."""

    def __init__(self, plan: Plan, folder: Path, seed: int) -> None:
        self.oracle = Oracle()
        self._plan = plan
        self._clock = VirtualClock(plan.quiet_seconds)
        rng = random.Random(f"play {seed}")
        self._process = Process(folder / "inbox.db", self._clock, self.oracle, rng)
        self._event_api = SimulatedEventApi(self.oracle, rng, self._process.point)
        self._process.transport = self._event_api
        self._supervising = asyncio.Lock()

    async def play(self) -> Oracle:
        """Let everything happen, then let the sun shine until all is through; return what the oracle knows."""
        plan = self._plan
        if task := asyncio.current_task():
            task.set_name(OUTSIDE)
        self._process.start()
        supervisor = self._outside(self._supervise())
        house = self._outside(self._keep_house())
        happenings = [
            *(self._outside(self._provide(sending)) for sending in plan.sendings),
            *(self._outside(self._die(at, points)) for at, points in plan.deaths),
            *(self._outside(self._restart(at)) for at in plan.restarts),
            *(self._outside(self._jump(*jump)) for jump in plan.jumps),
            self._outside(self._change_weather()),
        ]
        self.oracle.outside = len(happenings)
        await asyncio.gather(*happenings)
        self._clock.ahead = 0
        await self._drain()
        for task in (supervisor, house):
            task.cancel()
        unfinished = await self._process.unfinished()
        await self._process.stop()
        require(not self.oracle.broken, "; ".join(self.oracle.broken[:5]))
        require(unfinished == 0, f"I2: {unfinished} entries are still pending")
        self.oracle.close()
        return self.oracle

    def _outside(self, happening: Coroutine[object, object, None]) -> asyncio.Task[None]:
        return asyncio.create_task(happening, name=OUTSIDE)

    async def _provide(self, sending: Sending) -> None:
        """Send a delivery until it is acknowledged, and again after as long as the plan says."""
        await asyncio.sleep(sending.at)
        if sending.genuine:
            ids = [f"acme:{sending.name}:made" + (f":{n}" if n > 1 else "") for n in range(1, sending.events + 1)]
            self.oracle.expected[sending.name] = set(ids)
        if sending.kind in {"poison", "broken"}:
            self.oracle.own_fault.add(sending.name)
        await self._send_until_answered(sending)
        for after in sending.resends:
            await asyncio.sleep(after - (asyncio.get_running_loop().time() - sending.at))
            await self._send_until_answered(sending)

    async def _send_until_answered(self, sending: Sending) -> None:
        for number in range(100):
            if await self._post(sending) or not sending.genuine:
                return
            await asyncio.sleep(RETRY_SECONDS[min(number, len(RETRY_SECONDS) - 1)])
        require(False, f"{sending.name} was never acknowledged")

    async def _post(self, sending: Sending) -> bool:
        """Post once, signed as of now; tell whether it was acknowledged."""
        document = {"id": sending.name, "type": "made", "kind": sending.kind, "events": sending.events}
        body = json.dumps({**document, "filler": "x" * sending.filler}).encode()
        at = self._clock.now() - (STALE_MS if sending.kind == "stale" else 0)
        request = signed("hmac", body, secret=SECRETS["hmac"], at=at)
        if sending.kind == "tampered":
            request = signed("hmac", body, secret="not the secret of this source", at=at)
        answering = asyncio.create_task(self._process.receive(request))
        await asyncio.wait([answering])
        return self._read(sending, answering)

    def _read(self, sending: Sending, answering: asyncio.Task[Receipt]) -> bool:
        if answering.cancelled():
            self.oracle.count("connection broken")
            return False
        match answering.exception():
            case None:
                self.oracle.acknowledge(sending.name, answering.result())
                return True
            case InboxUnavailable():
                self.oracle.count("unavailable")
            case VerificationError():
                wrong_clock = abs(self._clock.ahead) >= TOLERANCE_MS
                require(wrong_clock or not sending.genuine, f"I1: {sending.name} is genuine and was refused")
                self.oracle.count("refused")
            case error:
                raise InterruptedError("the gateway failed in an unforeseen way") from error
        return False

    async def _change_weather(self) -> None:
        now = 0.0
        for episode in self._plan.episodes:
            await asyncio.sleep(episode.at - now)
            self._event_api.weather = episode.weather
            await asyncio.sleep(episode.lasts)
            self._event_api.weather = Weather.FAIR
            now = episode.at + episode.lasts

    async def _jump(self, at: float, lasts: float, milliseconds: int) -> None:
        await asyncio.sleep(at)
        self._clock.ahead = milliseconds
        await asyncio.sleep(lasts)
        self._clock.ahead = 0

    async def _die(self, at: float, points: int) -> None:
        await asyncio.sleep(at)
        self._process.kill_soon(points)

    async def _restart(self, at: float) -> None:
        await asyncio.sleep(at)
        async with self._supervising:
            if self._process.alive:
                self.oracle.count("restart")
                await self._process.stop()
                await self._process.bury()
                self._process.start()

    async def _supervise(self) -> None:
        """Start the process anew a moment after it died."""
        while True:
            await self._process.killed.wait()
            async with self._supervising:
                self.oracle.count("death")
                await self._process.bury()
                await asyncio.sleep(DOWN_SECONDS)
                self._process.start()

    async def _keep_house(self) -> None:
        """Prune as the gateway does, with a retention of seven days."""
        while True:
            await asyncio.sleep(6 * HOUR)
            if self._process.alive:
                now = self._process.clock.now()
                pruning = asyncio.create_task(self._process.inbox.prune(now - 7 * DAY, now))
                await asyncio.wait([pruning])

    async def _drain(self) -> None:
        """Send a little now and then until all is through: an event dies only while others succeed."""
        for hour in range(MOST_DRAIN_HOURS):
            if self.oracle.is_through() or self.oracle.broken:
                return
            await self._provide(Sending(0, f"late{hour}", "plain", events=1, filler=0, resends=()))
            await asyncio.sleep(HOUR)
        require(False, f"I2: after a week of fair weather {self._left()} have not ended")

    def _left(self) -> list[str]:
        return sorted(self.oracle.acknowledged - self.oracle.ended.keys())


async def play(seed: int, folder: Path) -> Oracle:
    """Play the plan of a seed in a folder."""
    return await Days(draw(seed), folder, seed).play()
