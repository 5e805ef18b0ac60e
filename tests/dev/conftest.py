"""A local event API on a free port with a clock in the test's hands, and a plain client to talk to it."""

import io
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from gateway.dev.event_api import LocalEventApi

NOW = 1_795_230_000_123

Post = Callable[..., Coroutine[Any, Any, "Answered"]]


@dataclass
class Clock:
    """A clock that moves when told to."""

    now: int = NOW

    def __call__(self) -> int:
        """Return unix milliseconds."""
        return self.now


@dataclass(frozen=True)
class Answered:
    """What a client saw."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@pytest.fixture
def clock() -> Clock:
    """Return a clock that stands still."""
    return Clock()


@pytest.fixture
async def api(clock: Clock) -> AsyncIterator[LocalEventApi]:
    """Run a local event API that takes any key."""
    server = LocalEventApi(clock=clock)
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def post(api: LocalEventApi) -> AsyncIterator[Post]:
    """Return a function that sends one request to the local event API."""
    async with aiohttp.ClientSession() as session:

        async def send(
            body: bytes,
            path: str = "/e/key",
            method: str = "POST",
            content_type: str = "application/json",
            **headers: str,
        ) -> Answered:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            async with session.request(
                method,
                api.url + path,
                data=io.BytesIO(body),  # aiohttp warns of large bodies given as bytes
                headers={"content-type": content_type} | named,
                allow_redirects=False,
            ) as response:
                return Answered(response.status, dict(response.headers), await response.read())

        yield send
