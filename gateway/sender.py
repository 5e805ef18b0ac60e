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
from gateway.failpoints import failpoint
from gateway.inbox.contract import Inbox
from gateway.lane import Lane, RetryBudget
from gateway.model import Lease, StampedEvent
from gateway.outcome import Answer, Effect, Rest, Verdict, judge
from gateway.settle import Sent, resolve, suspect, unsent
from gateway.telemetry.logs import Log

TROUBLED_MS = 60_000
MAX_REFUSALS = 32
GIVEN_BACK_MS = 5_000
MIN_REQUEST_BYTES = 65_536


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
        self.budget = RetryBudget()
        self._troubled: dict[str, int] = {}
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

        After a refusal the other sources' entries go first, so that a poisoned source costs them one request. When
        nothing of a second batch is accepted either, and nothing of anyone's since, the fault is not an entry's: all
        that remains goes back and the lane backs off.
        """
        begun, refusals = self._clock.now(), 0
        work = deque([batch])
        while work:
            current = work.popleft()
            sent = await self._post(current)
            if sent.verdict.accepted:
                failpoint("before_settle")
            healthy = self.lane.last_success is not None and self.lane.last_success >= begun
            splits = sent.verdict.rest is Rest.SPLIT and len(current.members) > 1
            hopeless = splits and refusals > 0 and not sent.verdict.accepted and not healthy
            sent = replace(sent, verdict=self._adjust(sent.verdict, hopeless=hopeless))
            self._apply(sent.verdict)
            settled, rest = resolve(current, sent, self._clock.now(), self.lane.last_success)
            await self.settle(settled)
            if refused := suspect(current, sent):
                refusals += 1
                self.set_apart(refused.lease.entry.delivery.source)
            work.extend(self.batch(members) for members in rest)
            if work and (self.lane.state != "healthy" or refusals >= MAX_REFUSALS):
                await self.give_back([member.lease for batch in work for member in batch.members])
                return

    def troubled(self) -> frozenset[str]:
        """Return the sources of which entries were refused lately, so that they are to be sent apart from others."""
        now = self._clock.now()
        self._troubled = {source: until for source, until in self._troubled.items() if until > now}
        return frozenset(self._troubled)

    def is_troubled(self, source: str) -> bool:
        """Tell whether entries of a source were refused lately."""
        return bool(self._troubled) and source in self.troubled()

    def set_apart(self, source: str) -> None:
        """Send a source's entries apart from others for a while, so that it holds up nobody."""
        if source not in self.troubled():
            self._log.source_set_apart(source=source)
        self._troubled[source] = self._clock.now() + TROUBLED_MS

    def _adjust(self, verdict: Verdict, *, hopeless: bool) -> Verdict:
        """Read a refusal in its context: a fault of the system where all is refused, health where a part is in."""
        if hopeless:
            return replace(verdict, rest=Rest.AGAIN, effect=Effect.BACK_OFF)
        if verdict.effect is not Effect.NEUTRAL:
            return verdict
        if verdict.accepted:
            return replace(verdict, effect=Effect.HEALTHY)
        return verdict if self.lane.state == "healthy" else replace(verdict, effect=Effect.BACK_OFF)

    async def give_back(self, leases: Sequence[Lease]) -> None:
        """Settle entries whose turn did not come, as the lane failed or their source is refused too often."""
        healthy = self.lane.state == "healthy"
        due_at = self._clock.now() + (GIVEN_BACK_MS if healthy else 0)
        reason = "others of its source were refused" if healthy else self.lane.reason
        await self.settle([unsent(lease, due_at=due_at, reason=reason) for lease in leases])

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
                self._learn(sum(len(event.body) + 1 for event in events))
                middle = len(events) // 2
                queue.extendleft([events[middle:], events[:middle]])
                whole = False
                continue
            ids += answer.ids[: verdict.accepted] if answer else ()
            if verdict.rest is not Rest.NONE:
                break
        return Sent(replace(verdict, accepted=len(ids)), tuple(ids), whole, status, started, self._clock.now() - begun)

    def _learn(self, refused_bytes: int) -> None:
        """Keep later requests below a size that was too large for the event API."""
        learned = max(refused_bytes // 2, MIN_REQUEST_BYTES)
        if learned < self.limits.request_bytes:
            self.limits = replace(self.limits, request_bytes=learned)
            self._log.limit_learned(request_bytes=learned)

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
                pass

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
