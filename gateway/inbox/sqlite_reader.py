"""A thread that reads an inbox file on a connection of its own, so that no search holds up a commit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

import apsw

from gateway import threads
from gateway.errors import InboxError, InboxUnavailable
from gateway.inbox.sqlite_faults import failure, is_damage, unavailable

# While a read runs the WAL cannot be reused and grows, so none may run for ever.
LONGEST_READ_SECONDS = 10.0
_STEPS_BETWEEN_CHECKS = 10_000

T = TypeVar("T")


class Reader:
    """Runs reads one after another, each for at most `longest_seconds`; `on_damage` is told of a damaged file."""

    def __init__(
        self,
        connection: apsw.Connection,
        *,
        longest_seconds: float = LONGEST_READ_SECONDS,
        on_damage: Callable[[], None] | None = None,
    ) -> None:
        self.failure: InboxError | None = None
        self._connection = connection
        self._on_damage = on_damage
        self._longest_seconds = longest_seconds
        self._ends_at = 0.0
        self._closed = False
        self._thread = threads.pool(1, "inbox-reader")
        connection.set_progress_handler(lambda: time.monotonic() >= self._ends_at, _STEPS_BETWEEN_CHECKS)

    async def run(self, read: Callable[[apsw.Connection], T]) -> T:
        """Return what `read` finds. Raises InboxUnavailable."""
        if self._closed:
            raise InboxUnavailable("the inbox is closed; this process is about to end")
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._read, read)

    def stop_accepting(self) -> None:
        """Refuse further reads; those accepted are still done. Call it where `run` is called."""
        self._closed = True

    def close(self) -> None:
        """Block until the reads accepted are done, and close the connection."""
        self._thread.shutdown()
        self._connection.close()

    def _read(self, read: Callable[[apsw.Connection], T]) -> T:
        self._ends_at = time.monotonic() + self._longest_seconds
        try:
            return read(self._connection)
        except apsw.Error as error:
            self.failure = self.failure or failure(self._connection, error)
            if is_damage(error) and self._on_damage:
                self._on_damage()
            raise unavailable(self._connection, error) from error
