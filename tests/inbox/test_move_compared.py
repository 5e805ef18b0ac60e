"""What was moved is compared: damage is found and named, and what retention took is told apart from it."""

import pytest

from gateway.errors import MoveFailed
from gateway.history import Query
from gateway.model import State
from tests.inbox.engines import DAY
from tests.inbox.lives import everything, fill, today
from tests.inbox.mover import Mover, copied
from tests.inbox.samples import delivery, settle_all

DAMAGE = [
    ("bodies", "UPDATE bodies SET body = body || 'x' WHERE octet_length(body) = 1024"),
    ("bodies", "UPDATE bodies SET content = 'x' WHERE content IS NOT NULL"),
    ("events", "UPDATE events SET id = id || 'x' WHERE n = 2"),
    ("attempts", "DELETE FROM attempts WHERE number = 2"),
    ("queue", "UPDATE queue SET due_at = due_at + 1"),
    ("queue", "UPDATE queue SET lease = NULL, leased_until = NULL"),
    ("outcomes", "UPDATE outcomes SET state = 'skipped' WHERE state = 'dead'"),
    ("entries", "DELETE FROM entries WHERE delivery_id = 'empty'"),
    ("frozen", "UPDATE frozen SET seed = 'another'"),
    ("dedupe", "DELETE FROM dedupe WHERE delivery_id = 'bytes'"),
    ("dedupe", "UPDATE dedupe SET expires_at = expires_at + 1 WHERE delivery_id = 'bytes'"),
    ("dedupe", "UPDATE dedupe SET hits = 0 WHERE hits > 0"),
]


@pytest.mark.parametrize(("table", "damage"), DAMAGE)
async def test_damage_in_the_target_is_found(mover: Mover, table: str, damage: str) -> None:
    """What is not as it was is named, nothing is forwarded, and the file stays what it was."""
    await copied(mover)
    assert await mover.execute(damage) not in {"UPDATE 0", "DELETE 0"}
    with pytest.raises(MoveFailed, match=f"first in the table {table}, at the delivery .* of (acme|other)"):
        await mover.move()
    await mover.undo()
    assert await mover.move()
    assert await everything(await mover.target()) == await everything(mover.source())


async def test_bodies_that_retention_took(mover: Mover) -> None:
    """A body that the target's retention took since it was copied is no fault; one that is gone without it is one."""
    await copied(mover)
    after = await mover.target()
    while await after.prune(today() - 5 * DAY // 2, today()):
        pass
    moved = await mover.move()
    assert moved
    assert moved.comparison
    assert moved.comparison.narrowed == 5
    assert (await after.search(Query(id="forwarded")))[0].body_kept is False


async def test_a_body_that_nobody_took(mover: Mover) -> None:
    """A body that is gone without any retention is a fault."""
    await copied(mover)
    await mover.execute("DELETE FROM bodies WHERE body = ''")
    with pytest.raises(MoveFailed, match="first in the table bodies, at the delivery empty of acme"):
        await mover.move()


async def test_a_day_of_which_the_bodies_are_gone(mover: Mover) -> None:
    """Bodies find a place also in a day of which the target remembers ids alone, where no other day is missing."""
    serving = await mover.target()
    for days in range(20, -1, -1):
        await serving.put([delivery(f"there_{days}")], today() - days * DAY, 30 * DAY)
        await settle_all(serving, State.FORWARDED, today() - days * DAY)
    while await serving.prune(today() - 10 * DAY, today()):
        pass
    await fill(mover.file, today())
    assert await mover.move()
    found = {history.entry.delivery.id: history.body_kept for history in await everything(serving)}
    assert (found["there_19"], found["old_forgotten"]) == (False, True)


async def test_days_that_retention_dropped(mover: Mover) -> None:
    """What retention took as a whole is no fault, and what comes to its days later finds a place there."""
    await copied(mover, today() - 60 * DAY)
    after = await mover.target()
    while await after.prune(today() - 7 * DAY, today()):
        pass
    moved = await mover.move()
    assert moved
    assert moved.comparison
    finished = [history for history in await everything(mover.source()) if history.settled_at]
    assert sum(number for states in moved.comparison.forgotten.values() for number in states.values()) == len(finished)
    await mover.undo()
    await mover.execute("DELETE FROM queue; DELETE FROM frozen; DELETE FROM entries; DELETE FROM bodies")
    await mover.execute("DELETE FROM attempts; DELETE FROM events; DELETE FROM dedupe")
    assert await mover.move()
    assert await everything(after) == await everything(mover.source())
