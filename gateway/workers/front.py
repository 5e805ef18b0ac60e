"""The admin listener of several workers: the health of the whole, the metrics of all, and the API, by any of them."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from gateway import admin
from gateway.admin import api
from gateway.admin.access import Access
from gateway.telemetry.merging import SUPERVISOR, merged
from gateway.telemetry.registry import OPENMETRICS
from gateway.workers.asking import Answer, Asking, headers
from gateway.workers.following import Following
from gateway.workers.supervisor import Supervisor

HEALTH_SECONDS = 2.0
METRICS_SECONDS = 5.0
WORST = ("paused", "failing", "healthy")


class Front:
    """What answers; `asking` reaches the workers."""

    def __init__(self, supervisor: Supervisor, asking: Asking) -> None:
        self._supervisor = supervisor
        self._asking = asking

    def application(self, access: Access, instance: str) -> web.Application:
        """Return the application of the listener: health for everyone, the rest for those whom `access` lets in."""
        app = web.Application()
        app.router.add_get("/livez", self.livez)
        app.router.add_get("/startupz", self.startupz)
        app.router.add_get("/readyz", self.readyz)
        routes = [
            web.get("/tail", Following(self._supervisor, self._asking).tail),
            web.get("/stats", self.with_forwarding),
            web.get("/forwarding", self.forwarding),
            web.get("/deliveries/{id:.+}", self.with_forwarding),
            web.route("*", "/{path:.*}", self.pass_on),
        ]
        for path, of_path in (("/v1", routes), ("/metrics", [web.get("", self.metrics)])):
            app.add_subapp(path, api.application(of_path, access=access, log=self._supervisor.log, instance=instance))
        return app

    async def livez(self, _: web.Request) -> web.Response:
        """Say whether every worker that serves does answer; one that died is being started anew."""
        answers = await self._asking.all("/livez", {}, HEALTH_SECONDS)
        return admin.health([f"worker {child.number}: no answer" for child, told in answers.items() if told is None])

    async def startupz(self, _: web.Request) -> web.Response:
        """Say whether all workers have served, which stays so."""
        return admin.health([] if self._supervisor.has_started else ["starting"])

    async def readyz(self, _: web.Request) -> web.Response:
        """Say whether webhooks can be kept: by each worker that stays, of which there must be one."""
        if not self._supervisor.has_started:
            return admin.health(["starting"])
        if self._supervisor.stop.is_set():
            return admin.health(["draining"])
        answers = await self._asking.all("/readyz", {}, HEALTH_SECONDS)
        staying = {child.number: told for child, told in answers.items() if not child.draining}
        faults = [f"worker {number}: {fault}" for number in sorted(staying) for fault in _faults(staying[number])]
        return admin.health(faults if staying else ["no worker serves"])

    async def metrics(self, http: web.Request) -> web.Response:
        """Answer the metrics of all workers, and of their supervisor."""
        wanted = {**headers(http), "Accept": OPENMETRICS}
        answers = await self._asking.all("/metrics", wanted, METRICS_SECONDS)
        texts = {
            str(child.number): told.body.decode()
            for child, told in answers.items()
            if told and told.status == HTTPStatus.OK
        }
        texts = {worker: texts[worker] for worker in sorted(texts, key=int)}
        texts[SUPERVISOR] = self._supervisor.registry.exposition(OPENMETRICS)[1].decode()
        kind, text = await asyncio.to_thread(merged, texts, http.headers.get("Accept", ""))
        return web.Response(body=text, headers={"Content-Type": kind})

    async def pass_on(self, http: web.Request) -> web.Response:
        """Answer as any worker does, as all have the same inbox."""
        return _response(await self._asking.any(http))

    async def forwarding(self, http: web.Request) -> web.Response:
        """Answer how forwarding stands where it stands worst."""
        found = await self._asking.any(http)
        if found.status != HTTPStatus.OK:
            return _response(found)
        return api.answer(await self._worst(http))

    async def with_forwarding(self, http: web.Request) -> web.Response:
        """Answer as any worker does, but for how forwarding stands: of that the worst of all is told."""
        found = await self._asking.any(http)
        document = orjson.loads(found.body)
        if document.get("forwarding") is None:
            return _response(found)
        document["forwarding"] = await self._worst(http) or document["forwarding"]
        return api.answer(document, found.status)

    async def _worst(self, http: web.Request) -> dict[str, Any] | None:
        answers = await self._asking.all("/v1/forwarding", headers(http), HEALTH_SECONDS)
        states = {
            child.number: orjson.loads(told.body)
            for child, told in answers.items()
            if told and told.status == HTTPStatus.OK
        }
        if not states:
            return None
        number = min(states, key=lambda number: (WORST.index(states[number]["state"]), number))
        worst: dict[str, Any] = states[number]
        if any(state["state"] != worst["state"] for state in states.values()):
            worst["reason"] = f"worker {number}: {worst['reason']}"
        return worst


def _faults(told: Answer | None) -> list[str]:
    if told is None:
        return ["no answer"]
    return [str(fault) for fault in orjson.loads(told.body)["faults"]]


def _response(found: Answer) -> web.Response:
    return web.Response(status=found.status, body=found.body, content_type=found.content_type)
