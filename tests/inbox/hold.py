"""A writer thread that is kept busy, so that what is asked of it meanwhile waits together."""

import asyncio
import threading

import apsw

from gateway.inbox.sqlite import SqliteInbox


class Hold:
    """Keeps the writer thread busy until it is let go, so that what follows shares one commit."""

    def __init__(self, inbox: SqliteInbox) -> None:
        self._started = threading.Event()
        self._let_go = threading.Event()
        self._task = asyncio.ensure_future(inbox._write(self._wait))

    def _wait(self, _connection: apsw.Connection) -> None:
        self._started.set()
        self._let_go.wait(10)

    async def taken(self) -> None:
        """Wait until the thread is held."""
        assert await asyncio.to_thread(self._started.wait, 10)

    async def release(self) -> None:
        """Let the thread go on."""
        self._let_go.set()
        await self._task
