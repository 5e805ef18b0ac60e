"""Replay many entries: count them, then take them in small steps at a rate, so that live traffic is not hurt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace

from gateway.clock import Clock
from gateway.history import Query, Replayed
from gateway.inbox.contract import Inbox

MOST_PER_STEP = 500
STEPS_PER_SECOND = 5

Step = Callable[[Query], Awaitable[Replayed]]
"""Takes one step, as `Inbox.replay` does for one mode."""


async def count_by_source(inbox: Inbox, query: Query) -> dict[str, int]:
    """Return how many entries a replay of the query would take of each source that has any."""
    names = [query.source] if query.source else sorted((await inbox.counts()).by_source)
    found = {name: await inbox.count(replace(query, source=name)) for name in names}
    return {name: number for name, number in found.items() if number}


async def walk(
    queries: Iterable[Query], step: Step, *, rate: int, clock: Clock, stop: asyncio.Event
) -> AsyncIterator[Replayed]:
    """Replay `query.limit` entries of each query, `rate` a second, until all are taken or `stop` is set.

    Yields each step when it is done. Steps go on by key, so what is settled again meanwhile is not taken twice.
    """
    begun, done = clock.now(), 0
    size = max(1, min(MOST_PER_STEP, rate // STEPS_PER_SECOND))
    for query in queries:
        after, left = query.after, query.limit
        while left > 0 and not await _stopped(begun + done * 1000 / rate, clock, stop):
            taken = await step(replace(query, after=after, limit=min(size, left)))
            if taken.last_key == after:
                break
            yield taken
            after, left, done = taken.last_key, left - taken.count, done + taken.count


async def _stopped(until: float, clock: Clock, stop: asyncio.Event) -> bool:
    """Wait until a moment (unix ms) or until `stop` is set; tell whether it is."""
    wait = (until - clock.now()) / 1000
    return await clock.wait(stop, wait) if wait > 0 else stop.is_set()
