"""Leases: who gets what and when, and what a settlement is worth, on every engine."""

import asyncio

import pytest

from gateway.errors import LeaseLost
from gateway.inbox.contract import LEASED_BYTES, Inbox
from gateway.model import Attempt, SentEvent, Settlement, State
from tests.inbox.samples import LEASE, NOW, answered, delivery, frozen, keep, settle_all


async def keep_bodies(inbox: Inbox, *bodies: bytes) -> list[int]:
    """Put deliveries with these bodies, one after another; return their keys."""
    names = [f"{len(body)}_{n}" for n, body in enumerate(bodies)]
    return [
        (await inbox.put([delivery(name, body=body)], NOW))[0].key for name, body in zip(names, bodies, strict=True)
    ]


async def test_a_lease_holds_the_delivery(inbox: Inbox) -> None:
    """A lease brings the whole delivery, the attempt it is for, and its end."""
    [key] = await keep(inbox, "evt_1")
    [lease] = await inbox.lease(10, LEASE, NOW)
    assert (lease.entry.key, lease.entry.delivery, lease.entry.state) == (key, delivery("evt_1"), State.LEASED)
    assert (lease.attempt, lease.until) == (1, NOW + LEASE)


async def test_oldest_first_and_no_more_than_asked(inbox: Inbox) -> None:
    """Entries come in the order of arrival, at most as many as asked for."""
    keys = await keep(inbox, *(f"evt_{n}" for n in range(5)))
    assert [lease.entry.key for lease in await inbox.lease(3, LEASE, NOW)] == keys[:3]
    assert [lease.entry.key for lease in await inbox.lease(3, LEASE, NOW)] == keys[3:]
    assert await inbox.lease(3, LEASE, NOW) == []


async def test_a_lease_fits_into_memory(inbox: Inbox) -> None:
    """Large bodies are leased a few at a time, in their order, and one that is larger than all that by itself."""
    third = bytes(LEASED_BYTES * 2 // 5)
    keys = [*await keep_bodies(inbox, *[third] * 5), *await keep_bodies(inbox, bytes(LEASED_BYTES + 1), b"small")]
    leased = [[lease.entry.key for lease in await inbox.lease(10, LEASE, NOW)] for _ in range(4)]
    assert leased == [keys[:3], keys[3:6], keys[6:], []]


async def test_due_before_arrival(inbox: Inbox) -> None:
    """An entry that was due earlier comes first, whatever its key."""
    late, early = await keep(inbox, "evt_1", "evt_2")
    first, second = await inbox.lease(2, LEASE, NOW)
    await inbox.settle(
        [(first, Settlement(State.PENDING, due_at=NOW + 20)), (second, Settlement(State.PENDING, due_at=NOW + 10))],
        NOW,
    )
    assert [lease.entry.key for lease in await inbox.lease(2, LEASE, NOW + 20)] == [early, late]


async def test_two_leasers_never_share(inbox: Inbox) -> None:
    """Forwarders that lease at once each get entries of their own, and together all of them."""
    keys = await keep(inbox, *(f"evt_{n}" for n in range(100)))
    answers = await asyncio.gather(*(inbox.lease(7, LEASE, NOW) for _ in range(20)))
    assert sorted(lease.entry.key for answer in answers for lease in answer) == keys


async def test_expiry_gives_it_back(inbox: Inbox) -> None:
    """A lease holds to its last millisecond; then another may have the entry, for the same attempt."""
    [key] = await keep(inbox, "evt_1")
    [first] = await inbox.lease(1, LEASE, NOW)
    assert await inbox.lease(1, LEASE, NOW + LEASE) == []
    [second] = await inbox.lease(1, LEASE, NOW + LEASE + 1)
    assert (second.entry.key, second.attempt) == (key, 1)
    assert second.token != first.token


async def test_an_expired_lease_is_as_old_as_its_entry(inbox: Inbox) -> None:
    """An entry given back by expiry goes before entries that came later."""
    [old] = await keep(inbox, "evt_1")
    await inbox.lease(1, LEASE, NOW)
    [new] = await keep(inbox, "evt_2", now=NOW + 1)
    leases = await inbox.lease(2, LEASE, NOW + LEASE + 1)
    assert [lease.entry.key for lease in leases] == [old, new]


async def test_settling_after_a_takeover_is_refused_and_the_others_stand(inbox: Inbox) -> None:
    """A settlement of a lease that another has taken changes nothing; its neighbours in the call are recorded."""
    lost_key, kept_key = await keep(inbox, "evt_1", "evt_2")
    lost, kept = await inbox.lease(2, LEASE, NOW)
    later = NOW + LEASE + 1
    [taken] = await inbox.lease(1, LEASE, later)
    assert taken.entry.key == lost_key
    dead = Settlement(State.DEAD, reason="refused")
    refused, stands = await inbox.settle([(lost, dead), (kept, answered(kept))], later)
    assert isinstance(refused, LeaseLost)
    assert stands is None
    histories = [await inbox.get(lost_key), await inbox.get(kept_key)]
    assert [history.entry.state for history in histories if history] == [State.LEASED, State.FORWARDED]
    assert await inbox.settle([(taken, answered(taken))], later) == [None]


async def test_an_expired_lease_nobody_took_still_settles(inbox: Inbox) -> None:
    """Expiry alone voids nothing: only a takeover does."""
    [key] = await keep(inbox, "evt_1")
    [lease] = await inbox.lease(1, LEASE, NOW)
    assert await inbox.settle([(lease, answered(lease))], NOW + 10 * LEASE) == [None]
    history = await inbox.get(key)
    assert history
    assert (history.entry.state, history.settled_at) == (State.FORWARDED, NOW + 10 * LEASE)


async def test_a_lease_settles_once(inbox: Inbox) -> None:
    """The second settlement under one lease is refused."""
    await keep(inbox, "evt_1")
    [lease] = await inbox.lease(1, LEASE, NOW)
    first, second = await inbox.settle([(lease, answered(lease)), (lease, Settlement(State.DEAD))], NOW)
    assert (first, type(second)) == (None, LeaseLost)


async def test_a_retry_waits_for_its_time(inbox: Inbox) -> None:
    """An entry settled as pending is not leased before it is due, and comes back with its attempt counted."""
    [key] = await keep(inbox, "evt_1")
    [lease] = await inbox.lease(1, LEASE, NOW)
    failed = Attempt(1, NOW, 40, "unavailable", 503, "busy")
    retry = Settlement(
        State.PENDING, "event API unavailable", NOW + 500, failed, (SentEvent("e1", "acme/a"),), 2, NOW - 9
    )
    await inbox.settle([(lease, retry)], NOW)
    assert await inbox.lease(1, LEASE, NOW + 499) == []
    [again] = await inbox.lease(1, LEASE, NOW + 500)
    entry = again.entry
    assert (entry.key, entry.attempts, again.attempt, entry.due_at) == (key, 1, 2, NOW + 500)
    assert (entry.reason, entry.rejections, entry.rejected_at) == ("event API unavailable", 2, NOW - 9)
    history = await inbox.get(key)
    assert history
    assert (history.attempts, history.events, history.settled_at) == ((failed,), (SentEvent("e1", "acme/a"),), None)


async def test_what_was_not_sent_is_no_attempt(inbox: Inbox) -> None:
    """A settlement without an attempt leaves the count alone, and one without events leaves the events alone."""
    await keep(inbox, "evt_1")
    [lease] = await inbox.lease(1, LEASE, NOW)
    await inbox.settle([(lease, answered(lease, state=State.PENDING))], NOW)
    [lease] = await inbox.lease(1, LEASE, NOW)
    await inbox.settle([(lease, Settlement(State.PENDING))], NOW + 3)
    [lease] = await inbox.lease(1, LEASE, NOW + 3)
    history = await inbox.get(lease.entry.key)
    assert history
    assert (lease.attempt, lease.entry.due_at, len(history.attempts), len(history.events)) == (2, NOW + 3, 1, 1)


async def test_the_last_events_are_the_ones_kept(inbox: Inbox) -> None:
    """Events are replaced by those of a later settlement, in their order, with the ids they were given."""
    [key] = await keep(inbox, "evt_1")
    for events in (
        (SentEvent("e1", "acme/a"), SentEvent("e2", "acme/b")),
        (SentEvent("e2", "acme/b", "01B"), SentEvent("e1", "acme/a", "01A")),
    ):
        [lease] = await inbox.lease(1, LEASE, NOW)
        await inbox.settle([(lease, answered(lease, state=State.PENDING, events=events))], NOW)
    history = await inbox.get(key)
    assert history
    assert history.events == events
    assert [attempt.number for attempt in history.attempts] == [1, 2]


@pytest.mark.parametrize("state", [State.FORWARDED, State.SKIPPED, State.DEAD])
async def test_what_is_settled_is_not_leased(inbox: Inbox, state: State) -> None:
    """A settled entry stays as it is, with its reason, until somebody replays it."""
    [key] = await keep(inbox, "evt_1")
    await settle_all(inbox, state)
    assert await inbox.lease(1, LEASE, NOW + 100 * LEASE) == []
    history = await inbox.get(key)
    assert history
    assert (history.entry.state, history.entry.reason, history.settled_at) == (state, str(state), NOW)


async def freeze(inbox: Inbox, *names: str, batch: str, due_at: int) -> list[int]:
    """Put deliveries and make one frozen batch of them, in the reverse of their order."""
    keys = await keep(inbox, *names)
    leases = await inbox.lease(len(keys), LEASE, NOW)
    shares = [
        (lease, frozen(lease, batch, position, due_at)) for position, lease in enumerate(reversed(leases), start=0)
    ]
    assert await inbox.settle(shares, NOW) == [None] * len(keys)
    return keys[::-1]


async def test_a_frozen_batch_comes_whole_alone_and_in_order(inbox: Inbox) -> None:
    """A batch of unknown fate is leased by itself, beyond the limit, as it was: members, order, bytes and seed."""
    keys = await freeze(inbox, "evt_1", "evt_2", "evt_3", batch="b1", due_at=NOW + 5)
    [free] = await keep(inbox, "evt_4", now=NOW + 6)
    leases = await inbox.lease(2, LEASE, NOW + 6)
    assert [lease.entry.key for lease in leases] == keys
    shares = [lease.entry.frozen for lease in leases]
    assert [(share.batch, share.seed, share.position, share.events) for share in shares if share] == [
        ("b1", "seed of b1", position, f"events of {key}".encode()) for position, key in enumerate(keys)
    ]
    assert [lease.entry.key for lease in await inbox.lease(9, LEASE, NOW + 6)] == [free]


async def test_older_free_entries_go_before_a_frozen_batch(inbox: Inbox) -> None:
    """Free entries that were due earlier come first and without the batch."""
    keys = await freeze(inbox, "evt_1", "evt_2", batch="b1", due_at=NOW + 5)
    [free] = await keep(inbox, "evt_3", now=NOW + 4)
    assert [lease.entry.key for lease in await inbox.lease(9, LEASE, NOW + 9)] == [free]
    assert [lease.entry.key for lease in await inbox.lease(9, LEASE, NOW + 9)] == keys


async def test_batches_come_one_at_a_time(inbox: Inbox) -> None:
    """Each call returns one batch, the oldest first."""
    second = await freeze(inbox, "evt_1", "evt_2", batch="b1", due_at=NOW + 5)
    first = await freeze(inbox, "evt_3", "evt_4", batch="b2", due_at=NOW + 4)
    assert [lease.entry.key for lease in await inbox.lease(9, LEASE, NOW + 9)] == first
    assert [lease.entry.key for lease in await inbox.lease(9, LEASE, NOW + 9)] == second


async def test_a_batch_with_a_member_in_other_hands_waits_and_holds_up_nobody(inbox: Inbox) -> None:
    """While one member is leased or not yet due, the batch waits whole; free entries and other batches pass."""
    await keep(inbox, "evt_1", "evt_2", "evt_3")
    one, two, three = await inbox.lease(3, LEASE, NOW)
    early, late = frozen(one, "b1", 0, NOW + 1), frozen(two, "b1", 1, NOW + 50)
    await inbox.settle([(one, early), (two, late), (three, frozen(three, "b2", 0, NOW + 2))], NOW)
    [free] = await keep(inbox, "evt_4", now=NOW + 3)
    assert [lease.entry.key for lease in await inbox.lease(9, LEASE, NOW + 10)] == [three.entry.key]
    assert [lease.entry.key for lease in await inbox.lease(9, LEASE, NOW + 10)] == [free]
    assert await inbox.lease(9, LEASE, NOW + 10) == []
    whole = await inbox.lease(1, LEASE, NOW + 50)
    assert [lease.entry.key for lease in whole] == [one.entry.key, two.entry.key]


async def test_an_expired_batch_comes_back_whole(inbox: Inbox) -> None:
    """A frozen batch whose leases expired is leased again as it was."""
    keys = await freeze(inbox, "evt_1", "evt_2", batch="b1", due_at=NOW)
    await inbox.lease(1, LEASE, NOW)
    assert await inbox.lease(1, LEASE, NOW + LEASE) == []
    assert [lease.entry.key for lease in await inbox.lease(1, LEASE, NOW + LEASE + 1)] == keys


async def test_a_settlement_thaws(inbox: Inbox) -> None:
    """Settled in any other way, an entry is free again or done, and its share of the batch is gone."""
    first, second = await freeze(inbox, "evt_1", "evt_2", batch="b1", due_at=NOW)
    one, two = await inbox.lease(9, LEASE, NOW)
    await inbox.settle([(one, answered(one)), (two, Settlement(State.PENDING))], NOW)
    [lease] = await inbox.lease(9, LEASE, NOW)
    assert (lease.entry.key, lease.entry.frozen) == (second, None)
    history = await inbox.get(first)
    assert history
    assert history.entry.frozen is None


async def test_excluded_sources_stay(inbox: Inbox) -> None:
    """Entries of an excluded source are not leased, due or expired; those of others come as ever, oldest first."""
    [b] = await keep(inbox, "b")
    sources = [("a", "other", NOW - 3), ("c", "third", NOW - 2), ("d", "other", NOW - 1)]
    keys = {}
    for name, source, now in sources:
        [receipt] = await inbox.put([delivery(name, source=source)], now)
        keys[name] = receipt.key
    taken = [lease.entry.key for lease in await inbox.lease(9, LEASE, NOW, {"other"})]
    assert taken == [keys["c"], b]
    late = NOW + LEASE + 1
    assert [lease.entry.key for lease in await inbox.lease(9, LEASE, late, {"other", "third"})] == [b]
    assert await inbox.lease(9, LEASE, late, ["acme", "other", "third"]) == []
    assert [lease.entry.key for lease in await inbox.lease(2, LEASE, late)] == [keys["a"], keys["c"]]
    assert [lease.entry.key for lease in await inbox.lease(2, LEASE, late)] == [keys["d"]]


async def test_a_batch_with_a_member_of_an_excluded_source_waits(inbox: Inbox) -> None:
    """A frozen batch of several sources stays whole when one of them is excluded, and others pass."""
    await keep(inbox, "evt_1")
    await inbox.put([delivery("evt_2", source="other")], NOW)
    one, two = await inbox.lease(9, LEASE, NOW)
    await inbox.settle([(one, frozen(one, "b1", 0, NOW)), (two, frozen(two, "b1", 1, NOW))], NOW)
    [free] = await keep(inbox, "evt_3")
    assert [lease.entry.key for lease in await inbox.lease(9, LEASE, NOW, {"other"})] == [free]
    assert await inbox.lease(9, LEASE, NOW, {"other"}) == []
    assert [lease.entry.key for lease in await inbox.lease(1, LEASE, NOW)] == [one.entry.key, two.entry.key]
