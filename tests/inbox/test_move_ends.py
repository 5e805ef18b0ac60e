"""A move that is stopped, cut or given up at any step, and what is refused."""

from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from gateway.errors import InboxLocked, InboxMoved, InboxUnavailable, InboxUnsupported
from gateway.inbox.moving.source import Source
from gateway.inbox.sqlite import SqliteInbox
from gateway.inbox.sqlite_moved import VERIFIED
from tests.inbox.engines import DAY
from tests.inbox.lives import WINDOW, everything, fill, today, told
from tests.inbox.mover import Mover, copied, copy
from tests.inbox.samples import LEASE, answered, keep
from tests.postgres_proxy import CommitCutter


async def test_stopped_between_the_last_steps(mover: Mover) -> None:
    """Where a run ended after the comparison, or before the file was told of the end, the next one finishes."""
    await copied(mover)
    source = Source.open(mover.file, WINDOW)
    mark = source.mark
    assert mark
    source.set_mark(replace(mark, stage=VERIFIED))
    source.close()
    first = await mover.move()
    assert first
    assert first.comparison
    with pytest.raises(InboxMoved, match="was moved to there on "):
        await mover.move()
    source = Source.open(mover.file, WINDOW)
    source.set_mark(replace(mark, stage=VERIFIED))
    source.close()
    again = await mover.move()
    assert again
    assert (again.comparison, again.counts) == (None, first.counts)
    assert await everything(await mover.target()) == await everything(mover.source())


@pytest.mark.parametrize("answered", [False, True])
@pytest.mark.parametrize("step", ["copy", "finish"])
async def test_a_connection_that_is_cut_at_its_commit(mover: Mover, step: str, *, answered: bool) -> None:
    """Whether a batch, or the end, is committed although nobody was told, everything is there and nothing twice."""
    await fill(mover.file, today())
    direct, port = mover.url, urlsplit(mover.url).port or 5432
    cutter = CommitCutter(port, seed=0)
    await cutter.start()
    mover.url = direct.replace(str(port), str(cutter.port))
    if step == "finish":
        await copy(mover)
    else:
        assert await mover.move(until="copying") is None
    source, target = Source.open(mover.file, WINDOW), await mover.open()
    mark = source.mark
    assert mark
    cutter.cut_next(answered=answered)
    if step == "finish":
        source.set_mark(replace(mark, stage=VERIFIED))
        act = target.finish(mark.move, source.reached, source.secret_uses())
    else:
        act = target.copy(mark.move, source.batch(0))
    with pytest.raises(InboxUnavailable):
        await act
    await target.close()
    source.close()
    moved = await mover.move()
    assert moved
    assert (moved.comparison is None) == (step == "finish" and answered)
    mover.url = direct
    await cutter.stop()
    after, before = await mover.target(), mover.source()
    assert await everything(after) == await everything(before)
    assert await told(after) == await told(before)
    assert sorted([len(await after.lease(100, LEASE, today() + 9 * DAY)) for _ in range(2)]) == [2, 5]
    assert await mover.leftovers() == []


async def test_undone_before_the_end(mover: Mover) -> None:
    """A move that is given up leaves nothing in the target, and the file serves as it did."""
    await copied(mover)
    with pytest.raises(InboxMoved, match="is being moved to there and not all of it is there"):
        mover.serve()
    assert await mover.undo() == len(await everything(mover.source()))
    assert set((await mover.sizes()).values()) == {0}
    assert await mover.leftovers() == []
    inbox = mover.serve()
    later = today() + 9 * DAY
    assert sorted([len(await inbox.lease(100, LEASE, later)) for _ in range(2)]) == [2, 5]  # the batch, and others


async def test_undone_after_the_end(mover: Mover) -> None:
    """A move that is done leaves everything in the target, and the file serves as it was; a second one absorbs it."""
    await fill(mover.file, today())
    await mover.move()
    with pytest.raises(InboxMoved, match=r"was moved to there on .* gateway move --undo --from sqlite:"):
        mover.serve()
    before = await mover.sizes()
    assert await mover.undo("somewhere else") == 0
    assert await mover.sizes() == before
    inbox = mover.serve()
    assert await inbox.lease(100, LEASE, today())
    await inbox.close()
    moved = await mover.move()
    assert moved
    assert moved.comparison
    assert moved.comparison.absorbed["od\x00d"] == {"forwarded": 1}
    with pytest.raises(InboxUnsupported, match=r"no move of .* was begun"):
        await Mover.undo(await _of_nothing(mover))


async def _of_nothing(mover: Mover) -> Mover:
    other = Mover(mover.file.parent / "other")
    other.file.parent.mkdir()
    await SqliteInbox.open(other.file, dedupe_window_ms=WINDOW).close()
    return other


async def test_what_is_refused(mover: Mover) -> None:
    """A file that is served, or is not there, and a move that goes to another place than it began to."""
    with pytest.raises(InboxUnsupported, match="there is no inbox at"):
        await mover.move()
    inbox = mover.serve()
    await keep(inbox, "one", now=today())
    with pytest.raises(InboxLocked, match="already served by process"):
        await mover.move()
    await inbox.close()
    assert await mover.move(until="copying") is None
    other = Mover(mover.file.parent / "other")
    other.file = mover.file
    for act in (other.move(name="elsewhere"), other.undo("elsewhere")):
        with pytest.raises(InboxMoved, match="is being moved to there, and elsewhere knows nothing of that"):
            await act
    assert await mover.move(name="there, by another name")


async def test_a_new_move_of_a_file_that_went_on(mover: Mover) -> None:
    """After it was served again a file is moved as it then is."""
    await copied(mover)
    await mover.undo()
    inbox = mover.serve()
    leases = await inbox.lease(100, LEASE, today() + 9 * DAY)
    await inbox.settle([(lease, answered(lease)) for lease in leases], today())
    await inbox.close()
    assert await mover.move()
    assert await everything(await mover.target()) == await everything(mover.source())
