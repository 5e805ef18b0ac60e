"""Looking on the admin listener: search and explain deliveries, sources with their clocks, counts and rates."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from aiohttp import web

from gateway.admin import openapi, query, views
from gateway.admin.api import answer
from gateway.admin.documents import SourcesDocument
from gateway.admin.refusals import AdminRequestInvalid
from gateway.admin.sources import Known, sources
from gateway.clock import Clock
from gateway.config import Config
from gateway.feed import DROPPED, Feed, Happening
from gateway.inbox.contract import Inbox
from gateway.lane import Lane
from gateway.quarantine import Held, read
from gateway.refusals import Refusals

QUIET_SECONDS = 5.0
LINES = "application/x-ndjson"


@dataclass(frozen=True, slots=True)
class Inspected:
    """What is looked at; what a reload or a start may replace is asked for anew each time."""

    inbox: Inbox
    refusals: Refusals
    quarantine: Path
    clock: Clock
    feed: Feed
    config: Callable[[], Config]
    port: Callable[[], int]
    lane: Callable[[], Lane | None]


class Inspection:
    """The routes; none of them changes anything."""

    def __init__(self, inspected: Inspected) -> None:
        self._at = inspected

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/deliveries", self.deliveries),
            web.get("/deliveries/{id:.+}", self.delivery),
            web.get("/sources", self.sources),
            web.get("/counts", self.counts),
            web.get("/stats", self.stats),
            web.get("/forwarding", self.forwarding),
            web.get("/tail", self.tail),
            web.get("/openapi.json", self.openapi),
        ]

    async def deliveries(self, http: web.Request) -> web.Response:
        """Answer a page of the deliveries that match, newest first."""
        return answer(await views.deliveries(self._at.inbox, query.search(http.query.items())))

    async def delivery(self, http: web.Request) -> web.Response:
        """Answer the lives of the deliveries that an id belongs to; 404 where there is none."""
        found = await views.lives(self._at.inbox, http.match_info["id"], self._at.lane())
        return answer(found, 200 if found["deliveries"] else 404)

    async def sources(self, http: web.Request) -> web.Response:
        """Answer all sources."""
        _no_parameters(http)
        return answer(await self._sources())

    async def counts(self, http: web.Request) -> web.Response:
        """Answer how many entries there are."""
        _no_parameters(http)
        return answer(await views.counts(self._at.inbox))

    async def stats(self, http: web.Request) -> web.Response:
        """Answer the rates of the last `seconds`."""
        parameters = dict(http.query)
        query.require_keys(parameters, ("seconds",), "the query")
        given = parameters.get("seconds", str(views.WINDOW_SECONDS))
        if not (given.isascii() and given.isdigit() and 0 < int(given[:9]) <= openapi.MOST_SECONDS):
            raise AdminRequestInvalid(f"seconds is not an integer from 1 to {openapi.MOST_SECONDS}")
        return answer(await views.stats(self._at.inbox, self._at.clock.now(), int(given), self._at.lane()))

    async def forwarding(self, http: web.Request) -> web.Response:
        """Answer how forwarding stands."""
        _no_parameters(http)
        if (lane := self._at.lane()) is None:
            raise web.HTTPServiceUnavailable
        return answer(views.forwarding(lane))

    async def tail(self, http: web.Request) -> web.StreamResponse:
        """Answer with a line of JSON for each thing that happens from now on, until the caller goes.

        An empty line comes when nothing happened for a while, so that either end notices when the other is gone.
        """
        wanted = query.wanted(http.query.items())
        response = web.StreamResponse(headers={"Content-Type": LINES})
        with self._at.feed.follow(wanted) as follower:
            await response.prepare(http)
            await response.write(b"\n")  # says that from here on nothing is missed
            while (happened := await follower.next(QUIET_SECONDS)) is not None:
                if follower.dropped:
                    happened.append(Happening(self._at.clock.wall(), "", DROPPED, reason=str(follower.dropped)))
                    follower.dropped = 0
                lines = [orjson.dumps(asdict(happening)) for happening in happened]
                await response.write(b"\n".join([*lines, b""]) or b"\n")
        return response

    async def openapi(self, http: web.Request) -> web.Response:
        """Answer the OpenAPI document of this API."""
        _no_parameters(http)
        return answer(openapi.document())

    async def _sources(self) -> SourcesDocument:
        now, config = self._at.clock.wall(), self._at.config()
        known = Known(
            now=now,
            counts=await self._at.inbox.counts(),
            tallies=(await asyncio.to_thread(_held, self._at.quarantine)).tallies,
            refusing=self._at.refusals.current(config.sources),
            port=self._at.port(),
        )
        return sources(config, known)


def _held(path: Path) -> Held:
    """Return what is kept of rejected requests, nothing where that cannot be read: the log has said so."""
    try:
        return read(path)
    except OSError:
        return Held()


def _no_parameters(http: web.Request) -> None:
    query.require_keys(http.query, (), "the query")
