"""The metrics on the admin listener."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web

from gateway.telemetry.metrics import Metrics


def exposed(metrics: Metrics, give_up: Callable[[], Mapping[str, float]]) -> list[web.RouteDef]:
    """Return the route of the metrics, with the give-up clocks (seconds by source) as they stand when it is asked."""

    async def expose(http: web.Request) -> web.Response:
        metrics.give_up(give_up())
        kind, text = metrics.exposition(http.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": kind})

    return [web.get("", expose)]
