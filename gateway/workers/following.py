"""What happens in all workers, in one stream."""

from __future__ import annotations

import asyncio

import aiohttp
from aiohttp import web

from gateway.admin import query
from gateway.admin.inspection import LINES, QUIET_SECONDS
from gateway.workers.asking import Asking, headers
from gateway.workers.child import Child
from gateway.workers.supervisor import Supervisor

AGAIN_SECONDS = 0.05
# A worker tells at least an empty line each QUIET_SECONDS.
STUCK_SECONDS = 4 * QUIET_SECONDS


class Following:
    """Answers a follower with the lines of each worker, as they come, and of those that take the place of dead ones."""

    def __init__(self, supervisor: Supervisor, asking: Asking) -> None:
        self._supervisor = supervisor
        self._asking = asking

    async def tail(self, http: web.Request) -> web.StreamResponse:
        """Answer until the caller goes or all workers have ended."""
        query.wanted(http.query.items())
        response = web.StreamResponse(headers={"Content-Type": LINES})
        answering = asyncio.Event()
        followed = [_Followed(child, http, response, answering) for child in self._supervisor.children]
        endless = [*(one.follow(self._asking) for one in followed), self._end()]
        tasks = [asyncio.create_task(coroutine) for coroutine in endless]
        try:
            for one in followed:
                await one.begun.wait()
            await response.prepare(http)
            await response.write(b"\n")  # says that from here on nothing is missed
            answering.set()
            while not (await asyncio.wait(tasks, timeout=QUIET_SECONDS, return_when=asyncio.FIRST_COMPLETED))[0]:
                await response.write(b"\n")
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return response

    async def _end(self) -> None:
        await self._supervisor.over.wait()


class _Followed:
    """One worker that is followed; `begun` is set once nothing of it is missed, or it does not serve."""

    def __init__(self, child: Child, http: web.Request, response: web.StreamResponse, answering: asyncio.Event) -> None:
        self.begun = asyncio.Event()
        self._child = child
        self._http = http
        self._response = response
        self._answering = answering

    async def follow(self, asking: Asking) -> None:
        """Pass on what it tells, and who takes its place; until the follower is gone."""
        while True:
            if not self._child.serves.is_set():
                self.begun.set()
                await self._child.serves.wait()
            try:
                await self._pass_on(asking)
            except ConnectionResetError:
                return
            except (aiohttp.ClientError, TimeoutError):
                pass
            self.begun.set()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _pass_on(self, asking: Asking) -> None:
        """Pass on the lines of its process that lives now. Raises ConnectionResetError when the follower is gone."""
        async with asking.lines(self._child, self._http.rel_url, headers(self._http), STUCK_SECONDS) as lines:
            async for line in lines:
                self.begun.set()
                await self._answering.wait()
                if line.strip():
                    await self._response.write(line)
