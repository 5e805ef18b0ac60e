"""Replay on the admin listener: GET /v1/replay counts, POST /v1/replay takes one small step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from aiohttp import web

from gateway.admin import query as queries
from gateway.admin.api import answer, read_object
from gateway.admin.refusals import AdminRequestInvalid
from gateway.clock import Clock
from gateway.inbox.contract import Inbox
from gateway.model import ReplayMode
from gateway.replay import MOST_PER_STEP, count_by_source
from gateway.telemetry.logs import Log


class Replays:
    """The two routes. `on_replayed` is called after a step that made entries pending."""

    def __init__(self, inbox: Inbox, *, clock: Clock, log: Log, on_replayed: Callable[[], None]) -> None:
        self._inbox = inbox
        self._clock = clock
        self._log = log
        self._on_replayed = on_replayed

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.get("/replay", self.count), web.post("/replay", self.step)]

    async def count(self, http: web.Request) -> web.Response:
        """Answer {"count", "by_source"}: what a replay of the query in the URL would take; nothing changes."""
        by_source = await count_by_source(self._inbox, queries.from_parameters(http.query.items()))
        return answer({"count": sum(by_source.values()), "by_source": by_source})

    async def step(self, http: web.Request) -> web.Response:
        """Take one step of {"query", "mode", "limit"}; answer {"count", "last_key"}.

        `last_key` is what the next step's query has as `after`; where it is the `after` of this one, nothing is left.
        """
        document = await read_object(http)
        queries.require_keys(document, ("query", "mode", "limit"), "the body")
        wanted = document.get("query")
        if not isinstance(wanted, dict):
            raise AdminRequestInvalid("query is not an object")
        limit = queries.number("limit", document.get("limit"), least=1, most=MOST_PER_STEP)
        mode = _mode(document.get("mode"))
        taken = await self._inbox.replay(replace(queries.parse(wanted), limit=limit), mode, self._clock.now())
        if taken.count:
            self._log.replayed(mode=mode, count=taken.count, last_key=taken.last_key)
            self._on_replayed()
        return answer({"count": taken.count, "last_key": taken.last_key})


def _mode(value: Any) -> ReplayMode:
    if value not in tuple(ReplayMode):
        raise AdminRequestInvalid(f"mode is not one of {', '.join(ReplayMode)}")
    return ReplayMode(value)
