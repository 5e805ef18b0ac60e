"""What waits too long is ended, and nothing else is."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from gateway.hard_stop import HardStop

T = TypeVar("T")


async def wait_within(stop: HardStop, result: Awaitable[T]) -> T:
    """Wait as the receiver waits for the inbox."""
    task = asyncio.current_task()
    assert task
    return await stop.wait(task, result)


async def test_what_waits_too_long_is_ended_and_may_go_on() -> None:
    """Each task gets TimeoutError at its own time, and is not left cancelled."""
    stop = HardStop(0.02)

    async def two_waits() -> int:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await wait_within(stop, asyncio.Event().wait())
        task = asyncio.current_task()
        assert task
        return task.cancelling()

    assert [*await asyncio.wait_for(asyncio.gather(two_waits(), two_waits()), 20)] == [0, 0]


async def test_what_ends_in_time_is_left_alone() -> None:
    """A wait that has ended is not ended again, however long its task lives on, while a later one is."""
    stop = HardStop(0.02)
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    future.set_result("kept")

    async def in_time() -> str:
        kept = await wait_within(stop, future)
        await asyncio.gather(*[late], return_exceptions=True)
        return kept

    late = asyncio.create_task(wait_within(stop, asyncio.get_running_loop().create_future()))
    assert await asyncio.wait_for(in_time(), 20) == "kept"
    assert isinstance(late.exception(), TimeoutError)


async def test_what_others_cancel_stays_cancelled() -> None:
    """A task that is cancelled while it waits is cancelled, before its time and at its time."""
    patient = asyncio.create_task(wait_within(HardStop(60), asyncio.get_running_loop().create_future()))
    await asyncio.sleep(0)
    patient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await patient

    async def cancelled_twice() -> None:
        task = asyncio.current_task()
        assert task
        asyncio.get_running_loop().call_later(0.01, task.cancel)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(5)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(wait_within(HardStop(0), cancelled_twice()))


async def test_faults_pass_through() -> None:
    """What is raised meanwhile comes out as it was."""

    async def at_fault() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await wait_within(HardStop(60), at_fault())
