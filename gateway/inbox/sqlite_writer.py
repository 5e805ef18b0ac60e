"""The one thread that writes and checkpoints an inbox file: operations queue up and share commits."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, overload

import apsw

from gateway.errors import InboxError, InboxUnavailable, LeaseLost
from gateway.failpoints import failpoint
from gateway.inbox import gathering, sqlite_settle
from gateway.inbox.disk_space import SpaceGauge
from gateway.inbox.gathering import Gathering
from gateway.inbox.intake import Bounds, Standing, refusal
from gateway.inbox.lock import ServingLock
from gateway.inbox.pace import Pace
from gateway.inbox.sqlite_connection import BUSY_TIMEOUT_MS
from gateway.inbox.sqlite_faults import failure, is_damage, out_of_room, unavailable
from gateway.inbox.sqlite_put import Put, Puts
from gateway.inbox.sqlite_settle import Settle
from gateway.inbox.sqlite_timeline import Timeline
from gateway.inbox.sqlite_wal import Checkpoints
from gateway.model import Receipt
from gateway.value import value

# A commit costs one fsync whatever it holds; beyond this size there is little left to share.
GROUP_LIMIT = 256

# With nothing to do the thread still looks after the WAL and the space of the disk.
IDLE_SECONDS = 1.0

T = TypeVar("T")
Work = Callable[[apsw.Connection], Any] | Put | Settle


@value
class _Waiting:
    work: Work
    now: int
    future: asyncio.Future[Any]
    size: int


class Writer:
    """Runs operations on its connection, several to a transaction, and tells their waiters after the COMMIT.

    An operation that fails is undone alone. When the COMMIT fails, every operation of the group raises
    InboxUnavailable. After an I/O error nothing more is tried. All waiters belong to one loop.
    """

    def __init__(
        self,
        connection: apsw.Connection,
        beside: apsw.Connection,
        lock: ServingLock,
        *,
        bounds: Bounds,
        gauge: SpaceGauge,
        clock: Callable[[], float],
        on_commit: Callable[[float, int], None],
    ) -> None:
        self.failure: InboxError | None = None
        self._connection = connection
        self._lock = lock
        self._bounds = bounds
        self._gauge = gauge
        self._on_commit = on_commit
        self._timeline = Timeline(connection)
        self._puts = Puts(connection)
        sqlite_settle.prepare(connection)
        self._gathering = Gathering(clock)
        self._pace = Pace(clock, GROUP_LIMIT)
        self._checkpoints = Checkpoints(connection, beside, busy_timeout_ms=BUSY_TIMEOUT_MS)
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._waiting_bytes = 0  # changed on the loop alone, and counted until the waiter is told
        self._loop: asyncio.AbstractEventLoop | None = None
        self._accepting = True
        self._finished = False
        self._thread = threading.Thread(target=self._serve, name="inbox-writer", daemon=True)
        self._thread.start()

    @overload
    def run(self, work: Put, now: int, *, intake: int | None = None) -> asyncio.Future[list[Receipt]]: ...

    @overload
    def run(self, work: Settle, now: int) -> asyncio.Future[list[LeaseLost | None]]: ...

    @overload
    def run(self, work: Callable[[apsw.Connection], T], now: int) -> asyncio.Future[T]: ...

    def run(self, work: Work, now: int, *, intake: int | None = None) -> asyncio.Future[Any]:
        """Do `work`, which is told `now`, in the next transaction; the future has its result when it is durable.

        A waiter that is cancelled leaves the work in its group. `intake` is the bytes that new deliveries bring: with
        it, the work is refused at once where the bounds say so. Raises InboxUnavailable, and so may the future.
        """
        if self.failure:
            raise InboxUnavailable(str(self.failure))
        if not self._accepting:
            raise InboxUnavailable("the inbox is closed; this process is about to end")
        if intake is not None and (sentence := refusal(self._bounds, self._standing(), intake)):
            raise InboxUnavailable(sentence)
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        future = self._loop.create_future()
        self._waiting_bytes += intake or 0
        self._queue.put(_Waiting(work, now, future, intake or 0))
        return future

    def _standing(self) -> Standing:
        waiting = self._queue.qsize()
        return Standing(waiting, self._waiting_bytes, self._pace.wait(waiting), self._gauge.space)

    def stop_accepting(self) -> None:
        """Refuse further operations; those accepted are still done. Call it where `run` is called."""
        if self._accepting:
            self._accepting = False
            self._queue.put(None)

    def join(self) -> None:
        """Block until what was accepted is done."""
        self._thread.join()

    def _serve(self) -> None:
        waiters: list[_Waiting] = []
        try:
            while not self._finished:
                self._gather(waiters)
                idle = not waiters
                if waiters:
                    self._pace.begin()
                    outcomes = self._commit(waiters)
                    self._on_commit(self._pace.end(), len(waiters))
                    self._announce(waiters, outcomes)
                    waiters = []
                self._look_after_the_file(idle=idle)
        except Exception as error:  # noqa: BLE001 - out of memory, or a fault of our own: nothing can be kept any more
            self.failure = InboxError(f"the thread that writes the inbox ended ({type(error).__name__}); start again")
            self._give_up(waiters)
        finally:
            self._checkpoints.close()

    def _give_up(self, waiters: list[_Waiting]) -> None:
        """Tell those who wait that nothing will be written."""
        with contextlib.suppress(queue.Empty):
            while True:
                if waiting := self._queue.get_nowait():
                    waiters.append(waiting)
        if waiters:
            self._announce(waiters, [InboxUnavailable(str(self.failure)) for _ in waiters])

    def _gather(self, group: list[_Waiting]) -> None:
        """Wait for operations and add all that there are, none after a while without any."""
        self._take(group, IDLE_SECONDS)
        if group and not self._finished and self._gathering.is_worth_it(found := len(group)):
            time.sleep(gathering.SECONDS)
            self._take(group, 0)
            self._gathering.waited(found, len(group))
        self._gathering.gone(len(group))

    def _take(self, group: list[_Waiting], patience: float) -> None:
        """Add what waits, up to the limit, and the first of it within so many seconds."""
        with contextlib.suppress(queue.Empty):
            while len(group) < GROUP_LIMIT:
                waiting = self._queue.get(timeout=patience) if patience and not group else self._queue.get_nowait()
                if waiting is None:
                    self._finished = True
                    return
                group.append(waiting)

    def _commit(self, group: list[_Waiting]) -> list[Any]:
        """Return one outcome per operation: its result, or the exception its waiter gets."""
        if self.failure:
            return [InboxUnavailable(str(self.failure)) for _ in group]
        try:
            outcomes = self._do_all(group)
            failpoint("before_commit")
            self._connection.execute("COMMIT")
            self._lock.mark_key(_last_key(group, outcomes))
        except (apsw.Error, MemoryError) as error:
            no_room, told = out_of_room(self._connection, error), unavailable(self._connection, error)
            self._note_failure(error)
            self._roll_back()
            return self._commit_singly(group) if no_room and len(group) > 1 else [told for _ in group]
        failpoint("after_commit")
        return outcomes

    def _commit_singly(self, group: list[_Waiting]) -> list[Any]:
        """Give each operation a transaction: on a full disk SQLite undoes all for one that finds no space."""
        return [outcome for waiting in group for outcome in self._commit([waiting])]

    def _do_all(self, group: list[_Waiting]) -> list[Any]:
        """Begin a transaction and do the whole group in it, or each operation by itself where one has a fault."""
        self._connection.execute("BEGIN IMMEDIATE")
        changes = self._connection.total_changes()
        try:
            outcomes = self._do_together(group)
        except Exception as error:
            if failure(self._connection, error) or not self._connection.in_transaction:
                raise
            self._connection.execute("ROLLBACK")
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._attempt(waiting.work) for waiting in group]
        if self._connection.total_changes() != changes:
            self._timeline.note(max(waiting.now for waiting in group))
        return outcomes

    def _do_together(self, group: list[_Waiting]) -> list[Any]:
        """Do all puts by the statements of one, and so with all settlements; then the others, one after another."""
        puts = [waiting.work for waiting in group if isinstance(waiting.work, Put)]
        receipts = iter(self._puts.keep(puts) if puts else [])
        settles = [waiting.work for waiting in group if isinstance(waiting.work, Settle)]
        losses = iter(sqlite_settle.settle_all(self._connection, settles) if settles else [])
        return [self._outcome(waiting.work, receipts, losses) for waiting in group]

    def _outcome(self, work: Work, receipts: Iterator[list[Receipt]], losses: Iterator[list[LeaseLost | None]]) -> Any:
        if isinstance(work, Put):
            return next(receipts)
        return next(losses) if isinstance(work, Settle) else work(self._connection)

    def _attempt(self, work: Work) -> Any:
        """Do one piece of work by itself; return what came of it, or the error that undid it."""
        self._connection.execute("SAVEPOINT operation")
        try:
            outcome = self._alone(work)
        except Exception as error:
            if failure(self._connection, error) or not self._connection.in_transaction:
                raise
            outcome = unavailable(self._connection, error) if isinstance(error, apsw.Error) else error
            self._connection.execute("ROLLBACK TO operation")
        self._connection.execute("RELEASE operation")
        return outcome

    def _alone(self, work: Work) -> Any:
        if isinstance(work, Put):
            return self._puts.keep([work])[0]
        if isinstance(work, Settle):
            return sqlite_settle.settle(self._connection, [work])[0]
        return work(self._connection)

    def _roll_back(self) -> None:
        self._timeline.rolled_back()
        if self._connection.in_transaction:
            with contextlib.suppress(apsw.Error):  # the COMMIT's error is the one to tell
                self._connection.execute("ROLLBACK")

    def _note_failure(self, error: Exception) -> None:
        self.failure = self.failure or failure(self._connection, error)
        if is_damage(error):
            self._lock.mark_damage()

    def _look_after_the_file(self, *, idle: bool) -> None:
        """Checkpoint after the waiters are told, so that no commit waits for it, and see how full the disk is."""
        self._gauge.refresh()
        if self.failure or not self._checkpoints.are_due(idle=idle):
            return
        self._pace.begin()
        try:
            self._checkpoints.run()
        except apsw.Error as error:
            self._note_failure(error)
        self._pace.end()

    def _announce(self, group: list[_Waiting], outcomes: list[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            group[0].future.get_loop().call_soon_threadsafe(self._resolve, group, outcomes)

    def _resolve(self, group: list[_Waiting], outcomes: list[Any]) -> None:
        for waiting, outcome in zip(group, outcomes, strict=True):
            self._waiting_bytes -= waiting.size
            if isinstance(waiting.work, Put):
                with contextlib.suppress(MemoryError):  # the lease runs out then, and the others must be told
                    waiting.work.hand_over(() if isinstance(outcome, Exception) else outcome)
            if waiting.future.done():
                continue
            if isinstance(outcome, Exception):
                waiting.future.set_exception(outcome)
            else:
                waiting.future.set_result(outcome)


def _last_key(group: list[_Waiting], outcomes: list[Any]) -> int:
    """Return the greatest key that the puts of a group were told, 0 without any."""
    told = [
        receipt.key
        for waiting, outcome in zip(group, outcomes, strict=True)
        if isinstance(waiting.work, Put) and not isinstance(outcome, Exception)
        for receipt in outcome
    ]
    return max(told, default=0)
