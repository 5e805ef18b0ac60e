"""The HTTP edge for webhooks: read within limits, verify, keep, answer."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import orjson
from aiohttp import web

from gateway import answers, arrival
from gateway.answers import Answer, Answers, Outcome
from gateway.client_address import Proxies
from gateway.clock import Clock
from gateway.errors import InboxUnavailable
from gateway.exchange import Exchange
from gateway.failpoints import failpoint
from gateway.feed import Feed
from gateway.handshake_effects import Effects, taught
from gateway.hard_stop import HardStop
from gateway.inbox.contract import Inbox
from gateway.inbox.disk_space import SpaceLevel
from gateway.listener import UNREAD_STATUS
from gateway.model import Delivery, Learned, Reply, Request
from gateway.moment import utc
from gateway.quarantine import UNKNOWN, Rejected
from gateway.rejections import (
    AddressRefused,
    BodyTimeout,
    BodyTooLarge,
    MethodNotAllowed,
    RequestRejected,
    UnknownSource,
    VerificationError,
)
from gateway.sources import Source
from gateway.straight import Plain
from gateway.telemetry.intake_metrics import NO_SOURCE
from gateway.telemetry.logs import Log
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.traces import Traces, claimed
from gateway.verify import no_handshake, verify

HARD_STOP_SECONDS = 2.5
LARGE_BODY_BYTES = 262_144
REFUSALS = frozenset({"rejected", "unavailable"})
UNVERIFIED_KEPT = "unverified_kept"
NO_MEMORY = (
    "this process has no memory left for the request; raise its limit of memory, or lower the sources' body_limit_bytes"
)

Responded = Plain | web.Response

_TO_STRANGERS = answers.make()


class Receiver:
    """Answers the webhook URLs. `sources`, `public_url`, `proxies` and `body_timeout` may be replaced at any time."""

    def __init__(
        self,
        inbox: Inbox,
        sources: Mapping[str, Source],
        *,
        clock: Clock,
        rng: random.Random,
        log: Log,
        on_accepted: Callable[[], None],
        metrics: Metrics | None = None,
        traces: Traces | None = None,
        public_url: str = "",
        body_timeout: float = 10.0,
    ) -> None:
        self.sources = sources
        self.public_url = public_url
        self.proxies = Proxies()
        self.body_timeout = body_timeout
        self.draining = False
        self.on_rejected: Callable[[Rejected], None] = lambda _: None
        self.on_answered: Callable[[Source, str, int, str], None] = lambda *_: None
        self.feed = Feed(clock.wall)
        self._inbox = inbox
        self._clock = clock
        self._log = log
        self._traces = traces or Traces(rng, wall=clock.wall)
        self._metrics = (metrics or Metrics()).intake
        self._on_accepted = on_accepted
        self._hard_stop = HardStop(HARD_STOP_SECONDS)
        self.effects = Effects(clock=clock, log=log)

    async def handle(self, http: web.BaseRequest) -> Responded:
        """Answer one request of any path; whatever it holds, the answer is one of the documented ones."""
        place = arrival.place_of(http)
        if place is None:
            return self._not_found(http)
        exchange = Exchange(place.source, self._traces.begin(), time.perf_counter(), http.method)
        try:
            response = await self._receive(http, exchange, place.token)
        except RequestRejected as rejection:
            response = self._refuse(exchange, rejection)
            self._hold(http, exchange, (rejection.label, rejection.status, str(rejection)))
        except InboxUnavailable as error:
            response = self._unavailable(exchange, error)
        except ConnectionError:
            raise
        except MemoryError:
            response = self._unavailable(exchange, InboxUnavailable(NO_MEMORY))
        except Exception as error:  # noqa: BLE001 - our own fault is 503 to the provider, so that it comes back
            self._log.crashed(where="receive", error=error)
            response = self._unavailable(exchange, InboxUnavailable("a fault of the gateway's own"))
        if self.draining:
            response.force_close()
        return response

    def refuse_malformed(self, status: int, kind: str) -> None:
        """Write the line of a request that is not HTTP, or could not be read, which the listener has answered."""
        exchange = Exchange("", self._traces.begin(), time.perf_counter())
        if status == UNREAD_STATUS:
            exchange.label, exchange.detail = "request_unread", NO_MEMORY
            self._say(exchange, "unavailable", status)
        else:
            exchange.label, exchange.detail = "request_malformed", f"this is not HTTP as RFC 9112 has it: {kind}"
            self._say(exchange, "rejected", status)

    async def _receive(self, http: web.BaseRequest, exchange: Exchange, token: str) -> Responded:
        source = arrival.find(exchange.source, token, self.sources)
        arrival.admit(http, source, self.proxies)
        if http.method not in source.methods:
            raise no_handshake(http.method, source)
        body = arrival.body_at_hand(http, source.body_limit)
        if body is None:
            body = await arrival.read_body(http, source.body_limit, self.body_timeout)
        request = self._request(http, source, body)
        exchange.step("read")
        exchange.bytes_in, exchange.request = len(body), request
        now = request.received_at
        if len(body) > LARGE_BODY_BYTES or "content-encoding" in request.by_name:  # it would hold up other requests
            result = await asyncio.to_thread(verify, request, source, now, exchange.traceparent)
        else:
            result = verify(request, source, now, exchange.traceparent)
        exchange.step("verify")
        if isinstance(result, Delivery):
            self._metrics.verified(result)
            if result.doubt:
                label, _, sentence = result.doubt.partition(": ")
                self._hold(http, exchange, (label, source.answers[Outcome.ACCEPTED].status, sentence))
            return await self._keep(http, exchange, source, result)
        return await self._shake_hands(exchange, source, result)

    def _request(self, http: web.BaseRequest, source: Source | None, body: bytes) -> Request:
        url = arrival.called_url(http, source, self.public_url)
        return arrival.request(http, body, now=self._clock.wall(), url=url)

    async def _keep(self, http: web.BaseRequest, exchange: Exchange, source: Source, delivery: Delivery) -> Responded:
        self._require_space(source)
        kept = self._inbox.put([delivery], self._clock.now(), source.dedupe_window_ms, count_secrets=source.rotates)
        try:
            [receipt] = await self._hard_stop.wait(http.task, kept)
        except TimeoutError as error:
            raise InboxUnavailable(f"the inbox did not commit within {HARD_STOP_SECONDS} s") from error
        exchange.step("keep")
        failpoint("before_answer")
        if receipt.duplicate:
            self._metrics.absorbed(source.name, by_digest=bool(receipt.known_as))
            how = ": the same signed bytes under another id" if receipt.known_as else ""
            exchange.detail = (
                f"absorbed{how}; first received {utc(receipt.first_seen_at, 'T')}; to run it again: "
                f"gateway replay {shlex.quote(receipt.known_as or delivery.id)} --state forwarded --mode rerun"
            )
        else:
            self._on_accepted()
            if delivery.id.startswith("sha256:"):
                self._log.delivery_id_missing(delivery=delivery)
        if delivery.doubt:
            exchange.label, doubt = UNVERIFIED_KEPT, f"kept all the same, as enforce = false; {delivery.doubt}"
            exchange.detail = "; ".join(filter(None, (doubt, exchange.detail)))
        outcome = Outcome.DUPLICATE if receipt.duplicate else Outcome.ACCEPTED
        answer = source.answers[outcome]
        self._say(exchange, outcome, answer.status, delivery)
        return _answer(answer, {"status": outcome, "delivery": delivery.id})

    def _require_space(self, source: Source) -> None:
        """While the disk is scarce keep its rest for providers that do not send again what was refused."""
        space = self._inbox.space
        if space and space.level >= SpaceLevel.SCARCE and source.provider.resends:
            raise InboxUnavailable(
                f"the inbox's disk has {space} left, kept for providers that do not retry; make room"
            )

    async def _shake_hands(self, exchange: Exchange, source: Source, result: Reply | Learned) -> web.Response:
        reply = await self.effects.bring_about(source, result)
        if isinstance(result, Learned):
            self.sources = taught(self.sources, source.learned_at, result.secret)
        exchange.detail = reply.kind
        self._say(exchange, "handshake", reply.status)
        headers = {"X-Content-Type-Options": "nosniff", **dict(reply.headers)}
        return web.Response(
            status=reply.status, body=reply.body, content_type=reply.content_type, charset="utf-8", headers=headers
        )

    def _refuse(self, exchange: Exchange, rejection: RequestRejected) -> Responded:
        exchange.label, exchange.detail = rejection.label, str(rejection)
        if isinstance(rejection, VerificationError):
            self._metrics.unverified(exchange.source)
            exchange.detail += f"; the likely cause: gateway doctor {exchange.source}"
        if isinstance(rejection, AddressRefused):
            exchange.detail += f"; it is {rejection.address or 'not told by a trusted proxy'}"
        answer = self._answers(exchange)[answers.of_status(rejection.status)]
        self._say(exchange, "rejected", answer.status)
        if isinstance(rejection, MethodNotAllowed):
            answer = replace(answer, headers={**answer.headers, "Allow": rejection.allowed})
        response = _answer(answer, {"status": "rejected", "reason": rejection.label})
        if isinstance(rejection, AddressRefused | BodyTooLarge | BodyTimeout):
            response.force_close()
        return response

    def _hold(self, http: web.BaseRequest, exchange: Exchange, fault: tuple[str, int, str]) -> None:
        """Hand over what is at fault, by label, status and sentence, to be explained later, with the body if read."""
        with contextlib.suppress(MemoryError):  # the answer matters more
            read = exchange.request
            source = self.sources.get(exchange.source)
            request, size = (read, len(read.body)) if read else (self._request(http, source, b""), http.content_length)
            name = exchange.source if source else UNKNOWN
            self.on_rejected(Rejected(name, *fault, request, size, http.remote or ""))

    def _unavailable(self, exchange: Exchange, error: InboxUnavailable) -> Responded:
        exchange.label, exchange.detail = error.label, str(error)
        answer = self._answers(exchange)[Outcome.UNAVAILABLE]
        self._say(exchange, "unavailable", answer.status)
        return _answer(answer, {"status": "unavailable", "reason": error.label})

    def _answers(self, exchange: Exchange) -> Answers:
        """Return what the source's provider is answered, or what everyone is where there is no such source."""
        source = self.sources.get(exchange.source)
        return source.answers if source else _TO_STRANGERS

    def _say(self, exchange: Exchange, outcome: str, status: int, delivery: Delivery | None = None) -> None:
        """Write the line of a request, count it, and trace it where it is sampled, slow or at fault."""
        seconds = time.perf_counter() - exchange.started
        source = self.sources.get(exchange.source)
        name = source.name if source else NO_SOURCE
        if source:
            self.on_answered(source, outcome, status, exchange.label)
        if self.feed.is_followed:
            self.feed.answered(
                exchange.source[:64], outcome, status, reason=exchange.label, seconds=seconds, delivery=delivery
            )
        self._metrics.answered(
            name,
            outcome,
            status,
            seconds=seconds,
            size=exchange.bytes_in,
            refusal=exchange.label if outcome in REFUSALS else "",
            traceparent=exchange.traceparent,
        )
        self._log.request(
            source=exchange.source[:64],
            outcome=outcome,
            status=status,
            bytes_in=exchange.bytes_in,
            ms=seconds * 1000,
            trace=exchange.traceparent,
            delivery=delivery,
            label=exchange.label,
            detail=exchange.detail,
            steps=exchange.steps,
        )
        if self._traces.takes(exchange.traceparent, seconds, failed=bool(exchange.label)):
            trusted = exchange.request if source and source.trust_traceparent else None
            claim = claimed(trusted.values("traceparent")) if trusted else ""
            self._traces.answered(
                exchange,
                source=name,
                outcome=outcome,
                status=status,
                seconds=seconds,
                claim=claim,
                delivery=delivery,
            )

    def _not_found(self, http: web.BaseRequest) -> Responded:
        rejection = UnknownSource("webhooks are taken at /webhooks/<source> alone")
        exchange = Exchange("", self._traces.begin(), time.perf_counter(), http.method)
        self._hold(http, exchange, (rejection.label, rejection.status, str(rejection)))
        return self._refuse(exchange, rejection)


def _answer(answer: Answer, document: dict[str, str]) -> Plain:
    """Make the response, whose body is the document where the answer has none of its own."""
    return Plain(answer, orjson.dumps(document) if answer.body is None else answer.body)
