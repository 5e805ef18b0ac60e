"""One inbox through many rounds: its providers, its event API, its gateways that die, and the verdict at the end."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import signal
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Self

import orjson

from gateway.dev.event_api import LocalEventApi
from gateway.dev.event_store import StoredEvent
from gateway.torture.autopsy import crashes, damage, unforwarded
from gateway.torture.fleet import Fleet, GatewayProcess
from gateway.torture.oracle import Accepted, Answered, Journal, payload_digest
from gateway.torture.place import Place
from gateway.torture.rounds import Round, Tally
from gateway.torture.traffic import Traffic
from gateway.torture.verdict import Identity, Verdict, identity, judge
from gateway.torture.weather import Weather

START_SECONDS = 20.0
STOP_SECONDS = 25.0
EVENTS_KEPT = 100


class Bout:
    """Plays rounds on the inbox of one place; `tally` counts what happens. Open it with `async with`."""

    def __init__(self, fleet: Fleet, place: Place, rng: Random, rate: float, tally: Tally) -> None:
        self._fleet = fleet
        self._place = place
        self._rng = rng
        self._rate = rate
        self._tally = tally
        self._event_api = LocalEventApi(keep=EVENTS_KEPT)
        self._weather = Weather(self._event_api, rng)
        self._outage: asyncio.Task[None] | None = None
        self._arrived: set[Identity] = set()
        self._answers: Journal
        self._events: Journal
        self._traffic: Traffic
        self._sending: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        self._event_api.observe = self._witness
        await self._event_api.start()
        self._place = replace(self._place, event_api_url=self._event_api.url)
        config = self._place.config()
        self._answers = Journal(Path(self._place.folder) / "answered.jsonl")
        self._events = Journal(Path(self._place.folder) / "accepted.jsonl")
        self._traffic = Traffic(config, self._answers, self._rng, self._rate)
        self._sending = asyncio.create_task(self._traffic.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [task for task in (self._sending, self._outage) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._event_api.stop()
        self._answers.close()
        self._events.close()

    async def play(self, round_: Round) -> None:
        """Start a gateway, let it live for the round, and see it die as the round says."""
        if round_.outage and (self._outage is None or self._outage.done()):
            self._outage = asyncio.create_task(self._weather.outage(round_.outage))
        begun = time.monotonic()
        gateway = self._fleet.start(self._place, round_.failpoint)
        if await gateway.listens(round_.seconds if round_.act == "kill" else START_SECONDS):
            self._tally.starts_ms.append((time.monotonic() - begun) * 1000)
            self._traffic.port = gateway.port.result()
        await self._live(gateway, round_, max(0.0, round_.seconds - (time.monotonic() - begun)))
        sprung = gateway.code.done() and round_.act == "failpoint"
        gateway.signal(signal.SIGKILL)
        self._traffic.port = None
        self._tally.note(round_, await gateway.code, sprung=sprung)

    async def _live(self, gateway: GatewayProcess, round_: Round, seconds: float) -> None:
        match round_.act:
            case "failpoint" | "kill":
                await gateway.ends(seconds)
            case "stop":
                await gateway.ends(seconds)
                await self._stop(gateway)
            case "pause":
                await gateway.ends(seconds)
                gateway.signal(signal.SIGSTOP)
                await asyncio.sleep(round_.pause)
                gateway.signal(signal.SIGCONT)
                await gateway.ends(seconds)

    async def _stop(self, gateway: GatewayProcess) -> None:
        """End a gateway as a supervisor does, and count the connections that it broke off."""
        broken = self._traffic.outcomes["broken"]
        gateway.signal(signal.SIGTERM)
        await gateway.ends(STOP_SECONDS)
        self._tally.broken_at_stop += self._traffic.outcomes["broken"] - broken

    async def finish(self, settle_seconds: float) -> Verdict:
        """Calm everything, let one more gateway forward what it can within the time, and judge."""
        self._weather.calm()
        if self._outage:
            await self._outage
        self._traffic.stop()
        gateway = self._fleet.start(self._place)
        if await gateway.listens(START_SECONDS):
            self._traffic.port = gateway.port.result()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._sending), settle_seconds)
                await self._settled(gateway, settle_seconds)
        await self._stop(gateway)
        gateway.signal(signal.SIGKILL)
        self._tally.note(Round("stop"), await gateway.code)
        self._tally.outcomes += self._traffic.outcomes
        self._tally.faults += self._weather.faults
        return await self._judge()

    async def _settled(self, gateway: GatewayProcess, within: float) -> None:
        """Wait until all that was acknowledged has arrived, or the gateway has ended. Raises TimeoutError."""
        answers = [Answered(**record) for record in self._answers.read()]
        expected = {(answer.source, answer.delivery) for answer in answers if answer.genuinely_acknowledged}
        await self._event_api.until(lambda: expected <= self._arrived or gateway.code.done(), within=within)

    def _witness(self, event: StoredEvent, seed: str) -> None:
        digest = hashlib.sha256(event.raw).hexdigest()
        payload = payload_digest(orjson.loads(event.raw)["data"])
        self._events.note(Accepted(event.id, digest, payload, event.request, seed))
        self._arrived.add(identity(event.id))

    async def _judge(self) -> Verdict:
        path = self._place.config().inbox_path
        answers = [Answered(**record) for record in self._answers.read()]
        events = [Accepted(**record) for record in self._events.read()]
        verdict = judge(answers, events, await unforwarded(path))
        self._tally.violations += [*verdict.violations, *damage(path), *crashes(path.parent)]
        return verdict
