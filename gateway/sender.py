"""Send batches and settle what becomes of their entries; the lane's state follows from the answers."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from gateway.batch import Batch, Limits, Member, Settled, chunk, serialise
from gateway.clock import Clock
from gateway.errors import EventApiError, EventApiInterrupted, InboxError
from gateway.event_api import new_seed
from gateway.failpoints import failpoint
from gateway.feed import Feed
from gateway.inbox.contract import Inbox
from gateway.lane import Lane, RetryBudget
from gateway.model import Lease, StampedEvent, State
from gateway.outcome import Answer, Effect, Rest, Verdict, judge
from gateway.settle import Sent, put_off, resolve, suspect, unsent
from gateway.telemetry.logs import Log
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.traces import Traces

_DEAD = State.DEAD
TROUBLED_MS = 60_000
MAX_REFUSALS = 32
GIVEN_BACK_MS = 5_000
MIN_REQUEST_BYTES = 65_536
# How long entries are held for the turn of their events; each gateway may hold some, and leases must outlast it.
RATE_PATIENCE_MS = 5_000
RATE_REASON = "waits for its turn, as event_api.max_events_per_second has it"


class Transport(Protocol):
    """What sends a request to the event API, as `gateway.event_api.EventApi` does."""

    async def send(self, body: bytes, seed: str, traceparent: str, /) -> Answer:
        """Send one JSON array of events, traced unless `traceparent` is empty; raises EventApiError for no answer."""
        ...


@dataclass(frozen=True, slots=True)
class Rate:
    """How many events a second all gateways together send under one event key, of which `name` tells nothing."""

    name: str
    per_second: float


class Sender:
    """Sends batches over one lane. `transport`, `limits` and `rate` may be replaced between requests."""

    def __init__(
        self,
        inbox: Inbox,
        transport: Transport,
        limits: Limits,
        *,
        clock: Clock,
        rng: random.Random,
        log: Log,
        metrics: Metrics | None = None,
        traces: Traces | None = None,
    ) -> None:
        self.transport = transport
        self.limits = limits
        self.rate: Rate | None = None
        self.lane = Lane(rng)
        self.budget = RetryBudget()
        self.feed = Feed(clock.wall)
        self._troubled: dict[str, int] = {}
        self._inbox = inbox
        self._clock = clock
        self._rng = rng
        self._log = log
        self._traces = traces or Traces(rng, wall=clock.wall)
        self._metrics = (metrics or Metrics()).forward

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
            if turn := await self._turn(len(current.events)):
                await self.settle([one for late in (current, *work) for one in put_off(late, turn, RATE_REASON)])
                return
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

    async def _turn(self, events: int) -> int:
        """Wait until so many events may be sent; where that is too long, return from when on they may be (unix ms)."""
        if self.rate is None:
            return 0
        now = self._clock.now()
        try:
            at = await self._inbox.reserve(self.rate.name, events, self.rate.per_second, now, RATE_PATIENCE_MS)
        except InboxError as error:
            self._log.forwarding_interrupted(reason=str(error))
            return now + RATE_PATIENCE_MS
        if at > now + RATE_PATIENCE_MS:
            return at
        if at > now:
            await self._clock.wait(asyncio.Event(), (at - now) / 1000)
        return 0

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
        sending = self._traces.sending(batch)
        answer: Answer | EventApiError
        try:
            answer = await self.transport.send(body, seed, sending.traceparent)
        except EventApiError as error:
            answer = error
        except asyncio.CancelledError:
            answer = EventApiInterrupted("broken off because the gateway stops")
        verdict = judge(answer, len(events))
        answered = answer if isinstance(answer, Answer) else None
        status = answered.status if answered else None
        self._traces.sent(sending, batch, verdict, events=len(events), status=status)
        took = self._clock.now() - begun
        self._metrics.attempted(verdict.label, took / 1000, len(events))
        deliveries = [member.lease.entry.delivery for member in batch.members]
        self._log.attempt(
            batch=batch.name,
            sources=sorted({delivery.source for delivery in deliveries}),
            only=deliveries[0] if len(deliveries) == 1 else None,
            entries=len(deliveries),
            events=len(events),
            bytes_out=len(body),
            outcome=verdict.label,
            accepted=verdict.accepted,
            status=status,
            detail=verdict.detail,
            ms=took,
            attempt=max(member.lease.attempt for member in batch.members),
            trace=sending.traceparent,
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
        self._metrics.lane(self.lane.state)

    async def settle(self, settled: Settled) -> None:
        """Record what became of leased entries; a lost lease is said in the log, as another has the entry."""
        if not settled:
            return
        try:
            lost = await self._inbox.settle(settled, self._clock.now())
        except InboxError as error:
            self._log.forwarding_interrupted(reason=str(error))
            return
        now, followed = self._clock.wall(), self.feed.is_followed
        for (lease, settlement), refusal in zip(settled, lost, strict=True):
            if refusal:
                self._metrics.lease_lost(lease.entry.delivery.source)
                self._log.lease_lost(delivery=lease.entry.delivery, state=settlement.state)
                continue
            self._metrics.settled(lease.entry.delivery, settlement, now)
            if followed:
                self.feed.settled(lease, settlement)
            if settlement.state is _DEAD:
                self._traces.dead(lease.entry, settlement)
