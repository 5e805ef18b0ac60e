"""Run two transforms over stored deliveries, one small step after another; nothing is sent or changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from gateway.history import Query
from gateway.inbox.contract import Inbox
from gateway.shadow.tally import Tally
from gateway.transform import Mapper, Runner

STEP = 500


async def walk(
    inbox: Inbox,
    query: Query,
    mappers: tuple[Mapper, Mapper],
    tally: Tally,
    *,
    progress: Callable[[int], None],
    stop: asyncio.Event,
) -> None:
    """Compare what the old and the new mapper make of at most `query.limit` deliveries, or until `stop` is set.

    Both see each delivery anew, so neither sees what the other did to a payload. `progress` is told how many are done.
    """
    old, new = mappers
    after = query.after
    async with Runner() as runner:
        while (left := query.limit - tally.deliveries) > 0 and not stop.is_set():
            entries = await inbox.stored(replace(query, after=after, limit=min(left, STEP)))
            if not entries:
                break
            mapped = await runner.run([(entry, mapper) for mapper in (old, new) for entry in entries])
            for index, entry in enumerate(entries):
                tally.add(entry.delivery, mapped[index], mapped[len(entries) + index])
            after = entries[-1].key
            progress(tally.deliveries)
