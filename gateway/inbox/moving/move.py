"""The steps of a move, each of which can be the last before the process dies: the next run goes on there."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from gateway.errors import InboxMoved, InboxUnsupported
from gateway.inbox.moving.source import Counted, Source
from gateway.inbox.moving.target import Target
from gateway.inbox.moving.verify import Comparison, Progress, Terms, verify
from gateway.inbox.sqlite_moved import COPYING, DONE, VERIFIED, Mark


@dataclass(frozen=True, slots=True)
class Plan:
    """What people call the target, after how long (ms) its retention may take what was settled, and when this is."""

    name: str
    retention_ms: int
    now: int


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move came to; `comparison` is None where an earlier run had done all but note that."""

    counts: Counted
    comparison: Comparison | None


async def move(source: Source, target: Target, plan: Plan, *, progress: Progress, stop: asyncio.Event) -> Moved | None:
    """Copy, compare, and only then let the gateways of the target have what waits; None where `stop` was set meanwhile.

    The file is marked first, so that no gateway serves it any more. Raises InboxMoved for a file that was moved, or of
    which a move to elsewhere is under way, MoveFailed where what was copied is not what was there, InboxUnavailable
    where the target does not serve.
    """
    mark, now = await _begin(source, target, plan), plan.now
    if mark.stage != COPYING and not await target.knows(mark.move):
        source.set_mark(replace(mark, stage=DONE, at=now))
        return Moved(source.counts(), None)
    await target.begin(mark.move)
    if not await _copy(source, target, mark.move, progress, stop):
        return None
    comparison = await verify(source, target, Terms(mark.move, plan.retention_ms), progress, stop)
    if comparison is None:
        return None
    source.set_mark(replace(mark, stage=VERIFIED, at=now))
    await target.finish(mark.move, source.reached, source.secret_uses())
    source.set_mark(replace(mark, stage=DONE, at=now))
    return Moved(source.counts(), comparison)


async def undo(source: Source, open_target: Callable[[], Awaitable[tuple[Target, str]]]) -> tuple[Mark, int]:
    """Take the mark off the file, so that it may be served; return the mark, and how many entries went.

    What a move that is not done has copied is deleted from the target; what a move that is done has copied stays there,
    and the target, with what people call it, is not even asked for. Raises InboxUnsupported for a file without a mark.
    """
    mark = source.mark
    if mark is None:
        raise InboxUnsupported(f"no move of {source.path} was begun; there is nothing to undo")
    gone = 0
    if mark.stage != DONE:
        target, name = await open_target()
        try:
            if await target.knows(mark.move):
                gone = await target.give_up(mark.move)
            elif mark.target != name:
                raise InboxMoved(_elsewhere(source, mark, name))
            elif mark.stage == VERIFIED:
                mark = replace(mark, stage=DONE)
        finally:
            await target.close()
    source.set_mark(None)
    return mark, gone


async def _begin(source: Source, target: Target, plan: Plan) -> Mark:
    """Return the mark of the move that is to go on, or of a new one."""
    mark = source.mark
    if mark is None:
        mark = Mark(uuid.uuid4().hex, plan.name, COPYING, plan.now)
        source.set_mark(mark)
    elif not await target.knows(mark.move):
        if mark.stage == DONE:
            raise InboxMoved(mark.told(source.path))
        if mark.target != plan.name:
            raise InboxMoved(_elsewhere(source, mark, plan.name))
    return mark


async def _copy(source: Source, target: Target, move: str, progress: Progress, stop: asyncio.Event) -> bool:
    """Copy what is not there yet; tell whether that is all, which it is not where `stop` was set."""
    after, done = await target.progress(move)
    progress("copying", done)
    while records := source.batch(after):
        if stop.is_set():
            return False
        await target.copy(move, records)
        after, done = records[-1].key, done + len(records)
        progress("copying", done)
    return True


def _elsewhere(source: Source, mark: Mark, name: str) -> str:
    return (
        f"the inbox {source.path} is being moved to {mark.target}, and {name} knows nothing of that; name the same "
        "target again to go on, or give that move up with --undo and --to of the same target"
    )
