"""Search, get, counts, replay and retention, on every engine."""

from dataclasses import replace

import pytest

from gateway.history import Activity, History, Query, Replayed, Settled, Waiting
from gateway.inbox.contract import Inbox
from gateway.model import ReplayMode, SentEvent, Settlement, State, TransformRun
from tests.inbox.engines import DAY
from tests.inbox.samples import LEASE, NOW, answered, delivery, frozen, keep, settle_all

TRACE = "0af7651916cd43dd8448eb211c80319c"
SOON = NOW + 1
LONG_AGO = 0
AFTER_THE_WINDOW = NOW + 7 * DAY + 1


async def found(inbox: Inbox, query: Query) -> list[str]:
    """Search and return the delivery ids."""
    return [history.entry.delivery.id for history in await inbox.search(query)]


@pytest.mark.parametrize("wanted", ["evt_2", "acme:evt_2", "acme:evt_2:2", "01B", TRACE])
async def test_every_kind_of_id_finds_its_entry(inbox: Inbox, wanted: str) -> None:
    """A delivery id, an event id, an id of the event API and a trace id each find the one entry they belong to."""
    await keep(inbox, "evt_1")
    await inbox.put([delivery("evt_2", traceparent=f"00-{TRACE}-b7ad6b7169203331-01")], NOW)
    other, lease = await inbox.lease(2, LEASE, NOW)
    events = (SentEvent("acme:evt_2", "acme/a", "01A"), SentEvent("acme:evt_2:2", "acme/a", "01B"))
    await inbox.settle([(other, answered(other)), (lease, answered(lease, events=events))], NOW)
    assert await found(inbox, Query(id=wanted)) == ["evt_2"]
    assert await found(inbox, Query(id=wanted, source="acme", state=State.FORWARDED)) == ["evt_2"]
    assert await found(inbox, Query(id=wanted, source="other")) == []


@pytest.mark.parametrize("unknown", ["evt_3", "acme:evt_3", "acme", "%", "' OR 1=1 --"])
async def test_an_unknown_id_finds_nothing(inbox: Inbox, unknown: str) -> None:
    """An id is matched exactly and as text."""
    await keep(inbox, "evt_1")
    await settle_all(inbox, State.FORWARDED)
    assert await found(inbox, Query(id=unknown)) == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (Query(), ["d", "c", "b", "a"]),
        (Query(limit=2), ["d", "c"]),
        (Query(source="acme"), ["d", "b", "a"]),
        (Query(type="order.paid"), ["c", "b"]),
        (Query(source="acme", type="order.paid"), ["b"]),
        (Query(since=NOW + 10), ["d", "c", "b"]),
        (Query(until=NOW + 10), ["a"]),
        (Query(since=NOW + 10, until=NOW + 20), ["b"]),
        (Query(state=State.PENDING), ["d", "c"]),
        (Query(state=State.FORWARDED), ["b"]),
        (Query(state=State.DEAD), ["a"]),
        (Query(source="acme", state=State.DEAD), ["a"]),
        (Query(source="other", state=State.DEAD), []),
        (Query(source="nobody"), []),
    ],
)
async def test_filters_narrow_and_the_newest_comes_first(inbox: Inbox, query: Query, expected: list[str]) -> None:
    """All given fields must match; `since` is included and `until` is not."""
    await inbox.put(
        [
            delivery("a"),
            delivery("b", type="order.paid", received_at=NOW + 10),
            delivery("c", type="order.paid", received_at=NOW + 20, source="other"),
            delivery("d", received_at=NOW + 30),
        ],
        NOW,
    )
    one, two = await inbox.lease(2, LEASE, NOW)
    await inbox.settle([(one, Settlement(State.DEAD, "no")), (two, answered(two))], NOW)
    assert await found(inbox, query) == expected


async def test_a_search_leaves_the_body_out(inbox: Inbox) -> None:
    """A search tells everything of a delivery but its body; get brings that too."""
    sent = delivery("evt_1", headers={"x-a": "1"}, version="2026", time=NOW - 5, query="a=1")
    [receipt] = await inbox.put([sent], NOW)
    [history] = await inbox.search(Query())
    assert (history.entry.delivery.body, history.body_kept) == (b"", True)
    assert (history.entry.delivery.headers, history.entry.delivery.version) == ({"x-a": "1"}, "2026")
    whole = await inbox.get(receipt.key)
    assert whole
    assert whole.entry.delivery == sent


async def test_an_unknown_key_is_none(inbox: Inbox) -> None:
    """Get of a key that names nothing is None."""
    assert await inbox.get(77) is None


async def test_counts(inbox: Inbox) -> None:
    """Counts tell each source's entries by state, its re-sends and its last receipt, and the oldest unfinished one."""
    empty = await inbox.counts()
    assert (empty.by_source, empty.oldest_pending_at, empty.duplicates, empty.last_received_at) == ({}, None, {}, {})
    names = ["a", "b", "c", "d"]
    await inbox.put([delivery(name, received_at=NOW + n) for n, name in enumerate(names)], NOW)
    await inbox.put([delivery("x", source="other", received_at=NOW + 9), delivery("a"), delivery("a")], NOW)
    one, two, _ = await inbox.lease(3, LEASE, NOW)
    await inbox.settle([(one, answered(one)), (two, Settlement(State.DEAD))], NOW)
    counts = await inbox.counts()
    assert counts.by_source == {
        "acme": {State.FORWARDED: 1, State.DEAD: 1, State.LEASED: 1, State.PENDING: 1},
        "other": {State.PENDING: 1},
    }
    assert counts.oldest_pending_at == NOW + 2
    assert counts.duplicates == {"acme": 2}
    assert counts.last_received_at == {"acme": NOW + 3, "other": NOW + 9}


@pytest.mark.parametrize("state", [State.FORWARDED, State.SKIPPED, State.DEAD])
@pytest.mark.parametrize(("mode", "generation"), [(ReplayMode.RESEND, 0), (ReplayMode.RERUN, 1)])
async def test_a_replay_starts_over(inbox: Inbox, state: State, mode: ReplayMode, generation: int) -> None:
    """A settled entry is due again without its reason; a rerun is a new generation; attempts count on."""
    [key] = await keep(inbox, "evt_1")
    [lease] = await inbox.lease(1, LEASE, NOW)
    await inbox.settle([(lease, answered(lease, state=state, reason="x", rejections=3, rejected_at=NOW))], NOW)
    assert await inbox.replay(Query(id="evt_1"), mode, NOW + 7) == Replayed(1, key)
    [again] = await inbox.lease(1, LEASE, NOW + 7)
    entry = again.entry
    assert (entry.key, entry.delivery, entry.due_at, entry.generation) == (key, delivery("evt_1"), NOW + 7, generation)
    assert (entry.reason, entry.rejections, entry.rejected_at, again.attempt) == ("", 0, None, 2)
    history = await inbox.get(key)
    assert history
    assert (history.settled_at, len(history.attempts)) == (None, 1)


async def test_a_replay_takes_what_matches_and_is_settled(inbox: Inbox) -> None:
    """Only settled entries that match are replayed, the oldest key first; a count tells how many there are."""
    await keep(inbox, "a", "b", "c")
    await settle_all(inbox, State.DEAD)
    await inbox.put([delivery("d", source="other")], NOW)
    await settle_all(inbox, State.DEAD)
    await keep(inbox, "e")
    assert await inbox.count(Query(source="acme", limit=2)) == 3
    assert (await inbox.replay(Query(source="acme", limit=2), ReplayMode.RESEND, NOW)).count == 2
    assert await found(inbox, Query(state=State.DEAD)) == ["d", "c"]
    assert await inbox.count(Query(source="acme")) == 1
    assert (await inbox.replay(Query(source="acme"), ReplayMode.RESEND, NOW)).count == 1
    assert await inbox.replay(Query(source="acme"), ReplayMode.RESEND, NOW) == Replayed(0, 0)
    assert await inbox.count(Query()) == 1


async def test_a_replay_goes_on_after_the_last_key(inbox: Inbox) -> None:
    """Step by step, each from the key that the one before told, a replay takes every entry once and then ends."""
    keys = await keep(inbox, *"abcdefg")
    await settle_all(inbox, State.DEAD)
    query, steps = Query(state=State.DEAD, limit=3), []
    while (step := await inbox.replay(query, ReplayMode.RERUN, NOW)).last_key != query.after:
        steps.append(step)
        query = replace(query, after=step.last_key)
        await settle_all(inbox, State.DEAD)
    assert steps == [Replayed(3, keys[2]), Replayed(3, keys[5]), Replayed(1, keys[6])]
    assert [history.entry.generation for history in await inbox.search(Query())] == [1] * 7
    assert await found(inbox, Query(after=keys[4])) == ["g", "f"]
    assert await inbox.count(Query(after=keys[4])) == 2


async def test_a_reason_is_found_by_a_part_of_it(inbox: Inbox) -> None:
    """Search, count and replay by reason take the entries whose reason holds the text, as text."""
    keys = await keep(inbox, "a", "b", "c")
    leases = await inbox.lease(3, LEASE, NOW)
    reasons = ["KeyError: 'id'", "100% of tries failed", ""]
    await inbox.settle(
        [(lease, Settlement(State.DEAD, reason)) for lease, reason in zip(leases, reasons, strict=True)], NOW
    )
    assert await found(inbox, Query(reason="Key")) == ["a"]
    assert await found(inbox, Query(reason="%")) == ["b"]
    assert await found(inbox, Query(reason="key")) == []
    assert await inbox.count(Query(reason="'id'", state=State.DEAD)) == 1
    assert await inbox.replay(Query(reason="tries"), ReplayMode.RESEND, NOW) == Replayed(1, keys[1])


async def test_the_body_goes_and_the_id_stays(inbox: Inbox) -> None:
    """After its retention an entry is narrow: no body, nothing to replay, and its re-sends are still absorbed."""
    [receipt] = await inbox.put([delivery("evt_1", headers={"x-a": "1"})], NOW)
    await settle_all(inbox, State.FORWARDED)
    assert await inbox.prune(SOON, NOW) > 0
    assert await inbox.prune(SOON, NOW) == 0
    [again] = await inbox.put([delivery("evt_1")], NOW + DAY)
    assert (again.duplicate, again.key) == (True, receipt.key)
    history = await inbox.get(receipt.key)
    assert history
    assert (history.body_kept, history.entry.delivery.body, history.entry.state) == (False, b"", State.FORWARDED)
    assert (history.entry.delivery.id, history.entry.delivery.type, history.duplicates) == ("evt_1", "order.created", 1)
    assert (history.attempts, history.events) == ((), ())
    assert await found(inbox, Query(id="acme:evt_1")) == []
    assert await inbox.count(Query()) == 0
    assert (await inbox.replay(Query(), ReplayMode.RESEND, NOW)).count == 0


async def test_the_id_goes_last(inbox: Inbox) -> None:
    """When its id goes too, nothing is left of an entry and the same id is a new delivery."""
    [key] = await keep(inbox, "evt_1")
    await settle_all(inbox, State.FORWARDED)
    assert await inbox.prune(SOON, AFTER_THE_WINDOW) > 0
    assert await inbox.prune(SOON, AFTER_THE_WINDOW) == 0
    assert await inbox.get(key) is None
    assert (await inbox.counts()).by_source == {}
    [new] = await inbox.put([delivery("evt_1")], NOW + 5)
    assert (new.duplicate, new.key != key) == (False, True)


async def test_an_id_may_go_before_the_body(inbox: Inbox) -> None:
    """Where retention is longer than the dedupe window, the id alone goes and the entry can still be replayed."""
    [key] = await keep(inbox, "evt_1")
    await settle_all(inbox, State.FORWARDED)
    assert await inbox.prune(LONG_AGO, AFTER_THE_WINDOW) == 1
    [new] = await inbox.put([delivery("evt_1")], NOW)
    assert (new.duplicate, new.key != key) == (False, True)
    assert await inbox.replay(Query(), ReplayMode.RESEND, NOW) == Replayed(1, key)


async def test_the_unfinished_is_never_pruned(inbox: Inbox) -> None:
    """Pending, leased and frozen entries keep their bodies however old they are."""
    await keep(inbox, "a", "b", "c")
    one, two = await inbox.lease(2, LEASE, NOW)
    await inbox.settle([(one, frozen(one, "b1", 0, NOW))], NOW)
    assert two.entry.state is State.LEASED
    await inbox.prune(NOW + 999 * DAY, NOW + 999 * DAY)
    leases = [lease for at in (NOW, NOW, NOW + LEASE) for lease in await inbox.lease(9, LEASE, at + 1)]
    assert [lease.entry.delivery.id for lease in leases] == ["a", "c", "b"]
    assert all(lease.entry.delivery == delivery(lease.entry.delivery.id) for lease in leases)


async def test_what_is_young_is_not_pruned(inbox: Inbox) -> None:
    """An entry settled at the very time of the limit stays, however old, and its id to the window's last moment."""
    await inbox.put([delivery("evt_1", received_at=NOW - 99 * DAY)], NOW)
    await settle_all(inbox, State.FORWARDED)
    assert await inbox.prune(NOW, NOW + 7 * DAY) == 0


async def test_a_prune_is_a_small_step(inbox: Inbox) -> None:
    """One call deletes no more rows of a kind than it is allowed."""
    await keep(inbox, *(f"evt_{n}" for n in range(10)))
    await settle_all(inbox, State.SKIPPED)
    assert await inbox.prune(SOON, NOW, limit=4) == 4
    assert sum(history.body_kept for history in await inbox.search(Query())) == 6
    while await inbox.prune(SOON, NOW, limit=4):
        pass
    assert not any(history.body_kept for history in await inbox.search(Query()))


async def test_a_search_goes_on_after_an_entry(inbox: Inbox) -> None:
    """Pages of a search hold every entry once, also where many were received in one millisecond."""
    await inbox.put([delivery(f"evt_{n}", received_at=NOW + n // 3) for n in range(8)], NOW)
    everything, pages, before = await found(inbox, Query()), list[str](), None
    while page := await inbox.search(Query(limit=3, before=before)):
        pages += [history.entry.delivery.id for history in page]
        before = (page[-1].entry.delivery.received_at, page[-1].entry.key)
    assert pages == everything
    assert len(pages) == 8
    assert await found(inbox, Query(source="acme", before=(NOW + 1, 1))) == ["evt_2", "evt_1", "evt_0"]
    assert await found(inbox, Query(id="evt_1", before=(NOW, 1))) == []


async def test_the_last_run_of_the_transform_is_kept(inbox: Inbox) -> None:
    """A settlement tells which transform ran and how long; one that ran none leaves what was known."""
    [key] = await keep(inbox, "evt_1")
    assert (await told(inbox, key)).transform is None
    [lease] = await inbox.lease(1, LEASE, NOW)
    run = TransformRun("shop:transform", 1.25)
    await inbox.settle([(lease, Settlement(State.PENDING, due_at=NOW, transform=run))], NOW)
    assert (await told(inbox, key)).transform == run
    [lease] = await inbox.lease(1, LEASE, NOW)
    await inbox.settle([(lease, answered(lease))], NOW)
    assert (await told(inbox, key)).transform == run
    [match] = await inbox.search(Query(id="evt_1"))
    assert match.transform == run
    await inbox.replay(Query(), ReplayMode.RESEND, NOW)
    [lease] = await inbox.lease(1, LEASE, NOW)
    again = TransformRun("shop:other", 0.0)
    await inbox.settle([(lease, answered(lease, transform=again))], NOW)
    assert (await told(inbox, key)).transform == again


async def told(inbox: Inbox, key: int) -> History:
    """Return the history of an entry that is there."""
    history = await inbox.get(key)
    assert history is not None
    return history


async def test_activity_tells_the_last_minutes(inbox: Inbox) -> None:
    """What was received and settled since a time is told newest first, and what waits, by source."""
    old = [delivery("old", received_at=NOW - 5), delivery("other", source="other", received_at=NOW)]
    await inbox.put([*old, delivery("new", received_at=NOW + 2)], NOW)
    leases = {lease.entry.delivery.id: lease for lease in await inbox.lease(9, LEASE, NOW)}
    await inbox.settle([(leases["old"], answered(leases["old"]))], NOW + 3)
    await inbox.settle([(leases["new"], Settlement(State.DEAD, reason="KeyError"))], NOW + 4)
    await inbox.put([delivery("waits", received_at=NOW + 1)], NOW)
    activity = await inbox.activity(NOW, 10)
    assert activity.received == (("acme", NOW + 2), ("acme", NOW + 1), ("other", NOW))
    assert activity.settled == (
        Settled("acme", State.DEAD, NOW + 2, NOW + 4),
        Settled("acme", State.FORWARDED, NOW - 5, NOW + 3, attempt_ms=12),
    )
    assert activity.waiting == {"acme": Waiting(1, NOW + 1), "other": Waiting(1, NOW)}
    cut = await inbox.activity(NOW, 1)
    assert (cut.received, cut.settled) == (activity.received[:1], activity.settled[:1])
    assert cut.waiting == activity.waiting


async def test_activity_counts_what_waits_in_every_way(inbox: Inbox) -> None:
    """Pending, leased and frozen entries wait; the oldest is the first that was received of them all."""
    for n in range(4):
        await inbox.put([delivery(f"evt_{n}", received_at=NOW + n)], NOW)
    first, second, _ = await inbox.lease(3, LEASE, NOW)
    await inbox.settle([(first, frozen(first, "b", 0, SOON)), (second, frozen(second, "b", 1, SOON))], NOW)
    assert (await inbox.activity(NOW, 10)).waiting == {"acme": Waiting(4, NOW)}
    assert await inbox.activity(NOW + 9, 10) == Activity((), (), {"acme": Waiting(4, NOW)})
