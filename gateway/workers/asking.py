"""Asking workers what their admin listeners answer, on the loopback address."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from yarl import URL

from gateway.admin.api import BODY_LIMIT
from gateway.admin.refusals import AdminRefused
from gateway.workers.child import Child
from gateway.workers.worker import LOOPBACK

SECONDS = 30.0
# What a worker goes by: who asks, and what is asked for.
_PASSED_ON = ("Accept", "Authorization", "Content-Type", "Host")


class NoWorkerServes(AdminRefused):
    """There is nobody to ask."""

    label = "no_worker"
    status = 503


@dataclass(frozen=True, slots=True)
class Answer:
    """What a worker answered."""

    status: int
    body: bytes
    content_type: str


class Asking:
    """Asks the workers that serve, in turn."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children
        self._next = 0
        self._session = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(),
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=SECONDS),
        )

    @property
    def serving(self) -> list[Child]:
        """The workers that serve now, another one first each time."""
        found = [child for child in self._children if child.serves.is_set()]
        self._next += 1
        cut = self._next % len(found) if found else 0
        return found[cut:] + found[:cut]

    async def any(self, http: web.Request) -> Answer:
        """Pass a request on to a worker, to another one where it is not there; raises NoWorkerServes."""
        body = await http.read() if http.can_read_body else b""
        if len(body) > BODY_LIMIT:
            raise web.HTTPRequestEntityTooLarge(max_size=BODY_LIMIT, actual_size=len(body))
        for child in self.serving:
            try:
                return await self._ask(child, http.method, http.rel_url, headers(http), body or None)
            except aiohttp.ClientConnectorError:
                continue
            except (aiohttp.ClientError, TimeoutError) as error:
                if http.method != "GET":
                    raise NoWorkerServes(f"worker {child.number} ended meanwhile; look whether it was done") from error
        raise NoWorkerServes("no worker serves at the moment; the log says why")

    async def all(self, path: str, passed_on: Mapping[str, str], seconds: float) -> dict[Child, Answer | None]:
        """Return what each worker that serves answers to a path; None where it does not within the seconds."""
        children = self.serving

        async def ask(child: Child) -> Answer | None:
            try:
                async with asyncio.timeout(seconds):
                    return await self._ask(child, "GET", URL(path), passed_on, None)
            except (aiohttp.ClientError, TimeoutError):
                return None

        answers = await asyncio.gather(*(ask(child) for child in children))
        return dict(zip(children, answers, strict=True))

    @asynccontextmanager
    async def lines(
        self, child: Child, where: URL, passed_on: Mapping[str, str], quiet_seconds: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give the lines of an answer without an end, of which one comes at least so often."""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=quiet_seconds)
        async with self._session.get(address(child, where), headers=passed_on, timeout=timeout) as response:
            response.raise_for_status()
            yield aiter(response.content)

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _ask(
        self, child: Child, method: str, where: URL, passed_on: Mapping[str, str], body: bytes | None
    ) -> Answer:
        asked = self._session.request(
            method, address(child, where), headers=passed_on, data=body, allow_redirects=False
        )
        async with asked as response:
            return Answer(response.status, await response.read(), response.content_type)


def address(child: Child, where: URL) -> URL:
    """Return the URL of a worker's admin listener for a path and a query."""
    return URL.build(scheme="http", host=LOOPBACK, port=child.admin_port).join(where)


def headers(http: web.Request) -> dict[str, str]:
    """Return what of a request's headers a worker needs to answer as it would without a supervisor."""
    return {name: http.headers[name] for name in _PASSED_ON if name in http.headers}
