"""Row 53: retention deletes what a replay of the same range is about to run again."""

import asyncio
from pathlib import Path

from gateway.history import Query
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import ReplayMode, State
from tests.inbox.samples import LEASE, NOW, keep, settle_all

ENTRIES = 600
STEP = 20
LATER = NOW + 1


async def test_retention_beside_a_replay(tmp_path: Path) -> None:
    """Each entry is either replayed with its body or gone: none is made pending without one, and nothing breaks."""
    inbox = SqliteInbox.open(tmp_path / "inbox.db", dedupe_window_ms=7 * 86_400_000)
    await keep(inbox, *[f"d{number}" for number in range(ENTRIES)])
    await settle_all(inbox, State.DEAD)

    begun = asyncio.Event()

    async def replay() -> int:
        count, after = 0, 0
        while True:
            step = await inbox.replay(Query(state=State.DEAD, limit=STEP, after=after), ReplayMode.RESEND, LATER)
            count += step.count
            if step.last_key == after:
                return count
            after = step.last_key
            if count >= ENTRIES // 4:
                begun.set()

    async def retain() -> int:
        gone = 0
        await begun.wait()
        while taken := await inbox.prune(LATER, 0, limit=STEP):
            gone += taken
        return gone

    replayed, gone = await asyncio.gather(replay(), retain())
    assert replayed + gone == ENTRIES
    assert min(replayed, gone) > 0
    bodies = [lease.entry.delivery.body for lease in await inbox.lease(ENTRIES, LEASE, LATER)]
    assert len(bodies) == replayed
    assert all(bodies)
    await inbox.close()
