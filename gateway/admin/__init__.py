"""The second listener, for operators: is the process alive, may it be given traffic, and under /v1 a JSON API."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import orjson
from aiohttp import web

from gateway.inbox.contract import Inbox
from gateway.inbox.disk_space import SpaceLevel


def application(
    inbox: Inbox,
    stage: Callable[[], str],
    *,
    api: Iterable[web.RouteDef],
    metrics: Iterable[web.RouteDef],
    guarded: Callable[[Iterable[web.RouteDef]], web.Application],
) -> web.Application:
    """Return the aiohttp application of the admin listener: `api` under /v1 and `metrics` under /metrics, `guarded`.

    `stage` tells where the process is in its life: `starting`, `draining`, or empty while it serves. The health of a
    process is told to everyone, by its kinds: https://kubernetes.io/docs/concepts/workloads/pods/probes/
    """

    async def livez(_: web.Request) -> web.Response:
        return health([])

    async def startupz(_: web.Request) -> web.Response:
        """Say whether the process has started, which it stays."""
        return health(["starting"] if stage() == "starting" else [])

    async def readyz(_: web.Request) -> web.Response:
        """Say whether webhooks can be kept; the event API's state does not count, as intake goes on without it."""
        faults = [stage()] if stage() else []
        if inbox.failure:
            faults.append(f"inbox: {inbox.failure}")
        if inbox.space and inbox.space.level is SpaceLevel.FULL:
            faults.append(f"disk: {inbox.space} left")
        return health(faults)

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/startupz", startupz)
    app.router.add_get("/readyz", readyz)
    app.add_subapp("/v1", guarded(api))
    app.add_subapp("/metrics", guarded(metrics))
    return app


def health(faults: list[str]) -> web.Response:
    """Answer that all is well, or what is not."""
    document = {"status": "unavailable" if faults else "ok", "faults": faults}
    return web.Response(status=503 if faults else 200, body=orjson.dumps(document), content_type="application/json")
