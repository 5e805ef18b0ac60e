"""Send batches and settle what becomes of their entries; the lane's state follows from the answers."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from gateway.batch import Batch, Limits, Member, Settled, chunk, serialise
from gateway.clock import Clock
from gateway.errors import EventApiError, EventApiInterrupted, InboxError
from gateway.event_api import new_seed
from gateway.inbox.contract import Inbox
from gateway.lane import Lane
from gateway.model import Lease, Settlement, StampedEvent, State
from gateway.outcome import Answer, Effect, Rest, Verdict, judge
from gateway.settle import Sent, resolve
from gateway.telemetry.logs import Log


class Transport(Protocol):
    """What sends a request to the event API, as `gateway.event_api.EventApi` does."""

    async def send(self, body: bytes, seed: str) -> Answer:
        """Send one JSON array of events; raises EventApiError when there was no answer."""
        ...


class Sender:
    """Sends batches over one lane. `transport` and `limits` may be replaced between requests."""

    def __init__(
        self, inbox: Inbox, transport: Transport, limits: Limits, *, clock: Clock, rng: random.Random, log: Log
    ) -> None:
        self.transport = transport
        self.limits = limits
        self.lane = Lane(rng)
        self._inbox = inbox
        self._clock = clock
        self._rng = rng
        self._log = log

    def batch(self, members: Sequence[Member]) -> Batch:
        """Make a batch with a name and a seed of its own."""
        name = uuid.UUID(int=self._rng.getrandbits(128)).hex
        return Batch(name, new_seed(self._clock.wall(), self._rng), tuple(members))

    async def send(self, batch: Batch) -> None:
        """Send a batch and what remains of it after each refusal, until every entry is settled.

        After a batch of which nothing was accepted, the others are tried without its first entry. When nothing of
        those is accepted either, the fault is not one entry's: all of them go back and the lane backs off.
        """
        work = deque([(batch, True)])
        while work:
            current, hopeful = work.popleft()
            sent = await self._post(current)
            verdict = sent.verdict
            hopeless = verdict.rest is Rest.SPLIT and not verdict.accepted and not hopeful and len(current.members) > 1
            if hopeless or (verdict.effect is Effect.NEUTRAL and self.lane.state != "healthy"):
                verdict = replace(verdict, effect=Effect.BACK_OFF)
            if hopeless:
                verdict = replace(verdict, rest=Rest.AGAIN)
            self._apply(verdict)
            settled, rest = resolve(current, replace(sent, verdict=verdict), self._clock.now(), self.lane.last_success)
            await self.settle(settled)
            work.extend((self.batch(members), bool(verdict.accepted)) for members in rest)
            if self.lane.state != "healthy" and work:
                await self.give_back([member.lease for batch, _ in work for member in batch.members])
                return

    async def give_back(self, leases: Sequence[Lease]) -> None:
        """Settle entries whose turn did not come because the lane failed meanwhile."""
        due_at = self._clock.now()
        await self.settle(
            [(lease, Settlement(State.PENDING, reason=self.lane.reason, due_at=due_at)) for lease in leases]
        )

    async def _post(self, batch: Batch) -> Sent:
        """Send the events of a batch, in several requests where one entry is over the limits or one was too large."""
        started, begun = self._clock.wall(), self._clock.now()
        queue = deque(chunk(batch.events, self.limits))
        whole, ids = len(queue) == 1, list[str]()
        verdict = Verdict("accepted", Rest.NONE, Effect.HEALTHY)
        status: int | None = None
        while queue:
            events = queue.popleft()
            seed = batch.seed if whole else new_seed(started, self._rng)
            verdict, answer = await self._request(events, seed, batch)
            status = answer.status if answer else None
            if verdict.rest is Rest.HALVE:
                middle = len(events) // 2
                queue.extendleft([events[middle:], events[:middle]])
                whole = False
                continue
            ids += answer.ids[: verdict.accepted] if answer else ()
            if verdict.rest is not Rest.NONE:
                break
        return Sent(replace(verdict, accepted=len(ids)), tuple(ids), whole, status, started, self._clock.now() - begun)

    async def _request(self, events: Sequence[StampedEvent], seed: str, batch: Batch) -> tuple[Verdict, Answer | None]:
        """Make one request and judge its answer; one that is broken off counts as interrupted."""
        body, begun = serialise(events), self._clock.now()
        answer: Answer | EventApiError
        try:
            answer = await self.transport.send(body, seed)
        except EventApiError as error:
            answer = error
        except asyncio.CancelledError:
            answer = EventApiInterrupted("broken off because the gateway stops")
        verdict = judge(answer, len(events))
        answered = answer if isinstance(answer, Answer) else None
        self._log.attempt(
            batch=batch.name,
            entries=len(batch.members),
            events=len(events),
            bytes_out=len(body),
            outcome=verdict.label,
            accepted=verdict.accepted,
            status=answered.status if answered else None,
            detail=verdict.detail,
            ms=self._clock.now() - begun,
            attempt=max(member.lease.attempt for member in batch.members),
        )
        return verdict, answered

    def _apply(self, verdict: Verdict) -> None:
        """Let the verdict change the lane, and say so once per change."""
        now = self._clock.now()
        match verdict.effect:
            case Effect.HEALTHY:
                before = self.lane.state
                if self.lane.succeeded(now):
                    self._log.lane_recovered(was=before)
            case Effect.BACK_OFF:
                reason = f"{verdict.label}: {verdict.detail}" if verdict.detail else verdict.label
                if self.lane.failed(now, reason, verdict.retry_after):
                    self._log.lane_failing(reason=reason)
            case Effect.PAUSE:
                if self.lane.misconfigured(now, verdict.detail):
                    self._log.lane_paused(reason=verdict.detail)
            case Effect.NEUTRAL:
                if verdict.accepted:
                    self.lane.succeeded(now)

    async def settle(self, settled: Settled) -> None:
        """Record what became of leased entries; a lost lease is said in the log, as another has the entry."""
        if not settled:
            return
        try:
            lost = await self._inbox.settle(settled, self._clock.now())
        except InboxError as error:
            self._log.forwarding_interrupted(reason=str(error))
            return
        for (lease, settlement), refusal in zip(settled, lost, strict=True):
            if refusal:
                self._log.lease_lost(delivery=lease.entry.delivery, state=settlement.state)
