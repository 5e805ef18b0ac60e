"""Puts wait together and share commits, within bounds, so that no queue grows without end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from gateway.errors import InboxError, InboxUnavailable
from gateway.inbox.intake import Bounds, Standing, refusal, size_of
from gateway.inbox.pace import Pace
from gateway.inbox.postgres_put import Sent
from gateway.model import Receipt

# A commit costs the same whatever it holds; beyond these there is little left to share.
GROUP_LIMIT = 512
GROUP_BYTES = 8 << 20

Keep = Callable[[Sequence[tuple[Sent, bool]]], Awaitable[list[Receipt]]]
"""Keeps deliveries in one transaction, and counts the secret of each where told."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    sent: Sequence[Sent]
    counted: bool
    future: asyncio.Future[list[Receipt]]
    size: int


class Intake:
    """Gathers what is put while a commit is under way into the next one. All waiters belong to one loop."""

    def __init__(self, keep: Keep, *, bounds: Bounds, clock: Callable[[], float]) -> None:
        self._keep = keep
        self._bounds = bounds
        self._pace = Pace(clock, GROUP_LIMIT)
        self._queue: deque[_Waiting] = deque()
        self._bytes = 0
        self._arrived = asyncio.Event()
        self._accepting = True
        self._task = asyncio.create_task(self._serve())

    async def put(self, sent: Sequence[Sent], *, counted: bool) -> list[Receipt]:
        """Keep deliveries with the next commit; one who is cancelled leaves them in it. Raises InboxUnavailable."""
        if not self._accepting:
            raise InboxUnavailable("the inbox is closed; this process is about to end")
        size = sum(size_of(one.delivery) for one in sent)
        waiting = len(self._queue)
        standing = Standing(waiting, self._bytes, self._pace.wait(waiting), None)
        if sentence := refusal(self._bounds, standing, size):
            raise InboxUnavailable(sentence)
        mine = _Waiting(sent, counted, asyncio.get_running_loop().create_future(), size)
        self._bytes += size
        self._queue.append(mine)
        self._arrived.set()
        return await mine.future

    async def close(self) -> None:
        """Refuse further puts and finish those accepted."""
        self._accepting = False
        self._arrived.set()
        await self._task

    async def _serve(self) -> None:
        while self._accepting or self._queue:
            if not self._queue:
                self._arrived.clear()
                await self._arrived.wait()
                continue
            self._pace.begin()
            await self._commit(self._next_group())
            self._pace.end()

    def _next_group(self) -> list[_Waiting]:
        """Take what waits, as much as one commit may hold, and always one."""
        group = [self._queue.popleft()]
        count, size = len(group[0].sent), group[0].size
        while self._queue and count + len(self._queue[0].sent) <= GROUP_LIMIT and size < GROUP_BYTES:
            group.append(self._queue.popleft())
            count, size = count + len(group[-1].sent), size + group[-1].size
        return group

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        """Keep a group; where something of it cannot be kept whatever is tried, the others must not suffer."""
        try:
            receipts = iter(await self._keep([(one, waiting.counted) for waiting in group for one in waiting.sent]))
        except InboxError as error:
            self._refuse(group, str(error))
        except Exception as error:  # noqa: BLE001 - a value that cannot be kept, or a fault of our own
            if len(group) == 1:
                self._refuse(group, f"a delivery cannot be kept ({type(error).__name__})")
                return
            for waiting in group:
                await self._commit([waiting])
        else:
            for waiting in group:
                mine = [next(receipts) for _ in waiting.sent]
                if self._is_waited_for(waiting):
                    waiting.future.set_result(mine)

    def _refuse(self, group: Sequence[_Waiting], sentence: str) -> None:
        for waiting in group:
            if self._is_waited_for(waiting):
                waiting.future.set_exception(InboxUnavailable(sentence))

    def _is_waited_for(self, waiting: _Waiting) -> bool:
        self._bytes -= waiting.size
        return not waiting.future.done()
