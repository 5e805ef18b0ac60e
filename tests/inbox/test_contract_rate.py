"""Rates that hold over all gateways of a store, on every engine."""

import asyncio

from gateway.inbox.contract import Inbox
from tests.inbox.samples import NOW


async def test_a_rate_that_rests_is_free_at_once(inbox: Inbox) -> None:
    """What is reserved first may be done now, and the next when that has taken its share of time."""
    assert await inbox.reserve("key", 100, 10.0, NOW, 0) == NOW
    assert await inbox.reserve("key", 1, 10.0, NOW + 10_000, 0) == NOW + 10_000
    assert await inbox.reserve("key", 1, 10.0, NOW + 60_000, 0) == NOW + 60_000


async def test_what_is_too_late_is_not_reserved(inbox: Inbox) -> None:
    """Who is not patient enough is told from when on it may be done, and takes nothing from those who wait."""
    await inbox.reserve("key", 50, 10.0, NOW, 0)
    assert await inbox.reserve("key", 50, 10.0, NOW, 4_999) == NOW + 5_000
    assert await inbox.reserve("key", 50, 10.0, NOW, 5_000) == NOW + 5_000
    assert await inbox.reserve("key", 50, 10.0, NOW, 5_000) == NOW + 10_000
    assert await inbox.reserve("key", 50, 10.0, NOW, 10_000) == NOW + 10_000


async def test_names_have_rates_of_their_own(inbox: Inbox) -> None:
    """One name takes nothing from another."""
    await inbox.reserve("one", 1_000, 1.0, NOW, 0)
    assert await inbox.reserve("two", 1, 1.0, NOW, 0) == NOW


async def test_many_at_once_get_times_of_their_own(inbox: Inbox) -> None:
    """Those who reserve at once come one after the other, fractions of a millisecond included."""
    turns = await asyncio.gather(*(inbox.reserve("key", 1, 4_000.0, NOW, 60_000) for _ in range(40)))
    assert sorted(turns) == sorted(NOW + n // 4 for n in range(40))
