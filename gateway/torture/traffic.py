"""The providers: signed requests at random moments, sent again until they are acknowledged, and forgeries."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

import aiohttp

from gateway import build
from gateway.config import Config
from gateway.dev.samples import Sample, make, types
from gateway.dev.sign import STALE_MS, SignedRequest, sign_sample
from gateway.dev.spoiling import tampered
from gateway.torture.oracle import Answered, Journal, Kind, payload_digest

TIMEOUT_SECONDS = 4.0
FIRST_RESEND_SECONDS, LAST_RESEND_SECONDS = 0.1, 2.0
DUPLICATES, TAMPERED, STALE = 0.05, 0.03, 0.02
PADDING = (0, 0, 500, 3_000, 12_000)

_JSON_TYPES = {"slack": ("message", "app_mention")}

_DELIVERY_ID: dict[str, Callable[[dict[str, str], dict[str, str]], str]] = {
    "stripe": lambda _, payload: payload["id"],
    "slack": lambda _, payload: f"{payload['api_app_id']}:{payload['event_id']}",
    "github": lambda headers, _: headers["x-github-delivery"],
    "shopify": lambda headers, _: f"{headers['x-shopify-event-id']}:{headers['x-shopify-topic']}",
    "standard-webhooks": lambda headers, _: headers["webhook-id"],
    "hmac": lambda _, payload: payload["id"],
}
"""The id of a delivery from its headers, whose names are lower case, and payload, as each provider documents it."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A request to send, what it is, and what the witness notes about it."""

    source: str
    delivery: str
    payload: str
    kind: Kind
    request: SignedRequest


class Traffic:
    """Sends to the gateway at `port` (None: it is not there) and notes every answer in a journal.

    `outcomes` counts answers by status and what came in place of one: `refused` connections, `broken` ones.
    """

    def __init__(self, config: Config, journal: Journal, rng: Random, rate: float) -> None:
        self.port: int | None = None
        self.outcomes: Counter[str] = Counter()
        self._config = config
        self._sources = build.sources(config)
        self._journal = journal
        self._rng = rng
        self._rate = rate
        self._stopping = False
        self._unfinished: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession

    async def run(self) -> None:
        """Send new deliveries at random moments, whether or not earlier ones were answered, until `stop`."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_SECONDS)
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(timeout=timeout, connector=connector) as self._session:
            due = time.monotonic()
            while not self._stopping:
                due += self._rng.expovariate(self._rate)
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                task = asyncio.create_task(self._deliver(self._make()))
                self._unfinished.add(task)
                task.add_done_callback(self._unfinished.discard)
            while self._unfinished:
                await asyncio.gather(*self._unfinished)

    def stop(self) -> None:
        """Send nothing new; what is not acknowledged is still sent again until it is."""
        self._stopping = True

    async def _deliver(self, shot: Shot) -> None:
        """Send until acknowledged, as a provider does; a forgery is sent until it is answered."""
        pause = FIRST_RESEND_SECONDS
        while True:
            answered = await self._send(shot)
            if answered.acknowledged or (shot.kind != "genuine" and answered.status == 401):  # noqa: PLR2004 - HTTP's own
                break
            await asyncio.sleep(self._rng.uniform(pause / 2, pause))
            pause = min(LAST_RESEND_SECONDS, pause * 2)
        if shot.kind == "genuine" and self._rng.random() < DUPLICATES:
            await self._send(shot)

    async def _send(self, shot: Shot) -> Answered:
        status = await self._post(shot)
        answered = Answered(shot.source, shot.delivery, shot.payload, shot.kind, status)
        self._journal.note(answered)
        return answered

    async def _post(self, shot: Shot) -> int | None:
        if self.port is None:
            self.outcomes["refused"] += 1
            return None
        url = f"http://127.0.0.1:{self.port}/webhooks/{shot.source}"
        try:
            async with self._session.post(url, data=shot.request.body, headers=shot.request.headers) as response:
                await response.read()
                self.outcomes[str(response.status)] += 1
                return response.status
        except aiohttp.ClientConnectorError:
            self.outcomes["refused"] += 1
        except (aiohttp.ClientError, TimeoutError, OSError):
            self.outcomes["broken"] += 1
        return None

    def _make(self) -> Shot:
        """Make a request of a random source and type, with a body like no other, now and then a forgery."""
        rng = self._rng
        name = rng.choice(list(self._sources))
        source, config = self._sources[name], self._config.sources[name]
        provider = source.provider.name
        kind: Kind = rng.choices(("genuine", "tampered", "stale"), (1 - TAMPERED - STALE, TAMPERED, STALE))[0]
        if kind == "stale" and not source.schemes[0].timestamp:
            kind = "genuine"
        now = int(time.time() * 1000) - (STALE_MS if kind == "stale" else 0)
        sample = _padded(
            make(provider, rng.choice(_JSON_TYPES.get(provider) or types(provider)), now=now, rng=rng), rng
        )
        request = sign_sample(source, config, sample, url="", now=now, rng=rng)
        payload = json.loads(request.body)
        headers = {header.lower(): value for header, value in request.headers}
        delivery = _DELIVERY_ID[provider](headers, payload)
        request = replace(request, body=tampered(request.body)) if kind == "tampered" else request
        return Shot(name, delivery, payload_digest(json.loads(request.body)), kind, request)


def _padded(sample: Sample, rng: Random) -> Sample:
    """Return the sample with a member of its own, of a size of its own, at the end of its JSON object."""
    padding = rng.randbytes(4 + rng.choice(PADDING) // 2).hex()
    return replace(sample, document={**sample.document, "torture": padding})
