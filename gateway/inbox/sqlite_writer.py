"""The one thread that writes and checkpoints an inbox file: operations queue up and share commits."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import apsw

from gateway.errors import InboxError, InboxUnavailable
from gateway.inbox.sqlite_connection import unavailable

# A commit costs one fsync whatever it holds; beyond this size there is little left to share.
GROUP_LIMIT = 256

# 4 MiB of WAL: small checkpoints pause the next group for milliseconds, large ones for tens of them.
CHECKPOINT_PAGES = 1_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Waiting:
    operation: Callable[[apsw.Connection], Any]
    future: asyncio.Future[Any]


class Writer:
    """Runs operations on its connection, several to a transaction, and tells their waiters after the COMMIT.

    An operation that fails is undone alone. When the COMMIT fails, every operation of the group raises
    InboxUnavailable. After an I/O error nothing more is tried: what an fsync failed to write may be gone although the
    next one succeeds (https://www.usenix.org/conference/atc20/presentation/rebello). All waiters belong to one loop.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self.failure: InboxError | None = None
        self._connection = connection
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._accepting = True
        self._finished = False
        self._wal_pages = 0
        self._checkpoint_at = CHECKPOINT_PAGES
        connection.set_wal_hook(self._note_wal)
        self._thread = threading.Thread(target=self._serve, name="inbox-writer", daemon=True)
        self._thread.start()

    async def run(self, operation: Callable[[apsw.Connection], T], *, max_waiting: int | None = None) -> T:
        """Run `operation` in the next transaction and return its result when it is durable.

        A waiter that is cancelled leaves the operation in its group. Raises InboxUnavailable, at once when
        `max_waiting` operations are waiting already.
        """
        if self.failure:
            raise InboxUnavailable(str(self.failure))
        if not self._accepting:
            raise InboxUnavailable("the inbox is closed; this process is about to end")
        if max_waiting is not None and self._queue.qsize() >= max_waiting:
            raise InboxUnavailable(f"{max_waiting} operations wait for the inbox already; its disk is too slow")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(_Waiting(operation, future))
        return await future

    def stop_accepting(self) -> None:
        """Refuse further operations; those accepted are still done. Call it where `run` is called."""
        if self._accepting:
            self._accepting = False
            self._queue.put(None)

    def join(self) -> None:
        """Block until what was accepted is done."""
        self._thread.join()

    def _serve(self) -> None:
        while not self._finished:
            group = self._next_group()
            if not group:
                continue
            _announce(group, self._commit(group))
            self._checkpoint_when_due()

    def _next_group(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        waiting = self._queue.get()
        while waiting is not None:
            group.append(waiting)
            if len(group) == GROUP_LIMIT:
                return group
            try:
                waiting = self._queue.get_nowait()
            except queue.Empty:
                return group
        self._finished = True
        return group

    def _commit(self, group: list[_Waiting]) -> list[Any]:
        """Return one outcome per operation: its result, or the exception its waiter gets."""
        if self.failure:
            return [InboxUnavailable(str(self.failure)) for _ in group]
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(waiting.operation) for waiting in group]
            self._connection.execute("COMMIT")
        except (apsw.Error, MemoryError) as error:
            self._note_failure(error)
            self._roll_back()
            if isinstance(error, apsw.FullError) and len(group) > 1:
                return self._commit_singly(group)
            return [unavailable(error) for _ in group]
        return outcomes

    def _commit_singly(self, group: list[_Waiting]) -> list[Any]:
        """Give each operation a transaction: on a full disk SQLite undoes all for one that finds no space."""
        return [outcome for waiting in group for outcome in self._commit([waiting])]

    def _attempt(self, operation: Callable[[apsw.Connection], Any]) -> Any:
        self._connection.execute("SAVEPOINT operation")
        try:
            outcome = operation(self._connection)
        except Exception as error:
            if _is_fatal(error) or not self._connection.in_transaction:
                raise
            self._connection.execute("ROLLBACK TO operation")
            outcome = unavailable(error) if isinstance(error, apsw.Error) else error
        self._connection.execute("RELEASE operation")
        return outcome

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            with contextlib.suppress(apsw.Error):  # the COMMIT's error is the one to tell
                self._connection.execute("ROLLBACK")

    def _note_failure(self, error: Exception) -> None:
        if _is_fatal(error):
            self.failure = InboxError(
                f"reading or writing the inbox file failed ({error}); nothing more is accepted until the process is "
                "started again: check the disk first"
            )

    def _note_wal(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _checkpoint_when_due(self) -> None:
        """Move the WAL into the database after the waiters are told, so that no commit waits for it.

        A reader in the way leaves pages behind; then the next try comes when as many again were written.
        """
        if self._wal_pages < self._checkpoint_at or self.failure:
            return
        try:
            logged, moved = self._connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            self._note_failure(error)
        else:
            self._checkpoint_at = CHECKPOINT_PAGES + (logged if moved < logged else 0)


def _is_fatal(error: Exception) -> bool:
    return isinstance(error, apsw.IOError | apsw.CorruptError | apsw.NotADBError)


def _announce(group: list[_Waiting], outcomes: list[Any]) -> None:
    with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
        group[0].future.get_loop().call_soon_threadsafe(_resolve, group, outcomes)


def _resolve(group: list[_Waiting], outcomes: list[Any]) -> None:
    for waiting, outcome in zip(group, outcomes, strict=True):
        if waiting.future.done():
            continue
        if isinstance(outcome, Exception):
            waiting.future.set_exception(outcome)
        else:
            waiting.future.set_result(outcome)
