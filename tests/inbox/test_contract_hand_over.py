"""Entries handed over as they are kept are leased, as any that a forwarder asked for."""

import asyncio
from collections.abc import Sequence

import pytest

from gateway.errors import InboxUnavailable, LeaseLost
from gateway.inbox.contract import Inbox
from gateway.model import Delivery, Lease, State
from tests.inbox.conftest import Open
from tests.inbox.samples import LEASE, NOW, answered, delivery, keep


class Taking:
    """A taker of everything but deliveries of the type `large`."""

    def __init__(self) -> None:
        self.taken: list[Lease] = []
        self.expected = 0

    def expect(self, deliveries: Sequence[Delivery]) -> int:
        """Expect what is not large."""
        if any(each.type == "large" for each in deliveries):
            return 0
        self.expected += len(deliveries)
        return LEASE

    def take(self, deliveries: Sequence[Delivery], leases: Sequence[Lease]) -> None:
        """Take what there is."""
        self.expected -= len(deliveries)
        self.taken += leases


@pytest.fixture
def taker(inbox: Inbox) -> Taking:
    """Take what the inbox of the test hands over."""
    taker = Taking()
    if not inbox.hand_over_to(taker):
        pytest.skip("this engine hands nothing over")
    return taker


async def test_a_new_entry_is_leased_to_the_taker(inbox: Inbox, taker: Taking) -> None:
    """The taker gets the entry as the inbox keeps it, nobody else does, and it settles as any other."""
    told = {"time": 5, "version": "v1", "query": "a=b", "secret": "OLD", "headers": {"x-a": "b"}, "digest": "ab" * 32}
    [receipt] = await inbox.put([delivery("evt_1", **told)], NOW)
    key = receipt.key
    [lease] = taker.taken
    history = await inbox.get(key)
    assert history
    assert lease.entry == history.entry
    assert (lease.entry.state, lease.until, lease.attempt) == (State.LEASED, NOW + LEASE, 1)
    assert await inbox.lease(9, LEASE, NOW) == []
    assert await inbox.settle([(lease, answered(lease))], NOW) == [None]
    assert isinstance((await inbox.settle([(lease, answered(lease))], NOW))[0], LeaseLost)
    assert (await inbox.counts()).by_source == {"acme": {State.FORWARDED: 1}}


async def test_what_is_not_expected_waits(inbox: Inbox, taker: Taking) -> None:
    """A delivery that the taker has no room for waits to be leased, and so does all once nobody takes any more."""
    await inbox.put([delivery("evt_1", type="large")], NOW)
    inbox.hand_over_to(None)
    await keep(inbox, "evt_2")
    assert (taker.taken, taker.expected) == ([], 0)
    assert [lease.entry.delivery.id for lease in await inbox.lease(9, LEASE, NOW)] == ["evt_1", "evt_2"]


async def test_a_resend_is_not_handed_over(inbox: Inbox, taker: Taking) -> None:
    """Of what comes twice, in one put or in several at once, the taker gets one entry."""
    puts = [
        inbox.put([delivery("evt_1"), delivery("evt_2"), delivery("evt_1")], NOW),
        inbox.put([delivery("evt_2")], NOW),
    ]
    receipts = [receipt for each in await asyncio.gather(*puts) for receipt in each]
    assert [receipt.duplicate for receipt in receipts] == [False, False, True, True]
    assert [lease.entry.delivery.id for lease in taker.taken] == ["evt_1", "evt_2"]
    assert [lease.entry.key for lease in taker.taken] == [receipts[0].key, receipts[1].key]
    assert taker.expected == 0


async def test_a_lease_that_runs_out_is_another_s(inbox: Inbox, taker: Taking) -> None:
    """What the taker does not settle in time is leased by whoever asks, and the taker's settlement comes too late."""
    await keep(inbox, "evt_1")
    [late] = taker.taken
    assert await inbox.lease(9, LEASE, NOW + LEASE) == []
    [lease] = await inbox.lease(9, LEASE, NOW + LEASE + 1)
    assert lease.entry.key == late.entry.key
    assert isinstance((await inbox.settle([(late, answered(late))], NOW + LEASE + 1))[0], LeaseLost)
    assert await inbox.settle([(lease, answered(lease))], NOW + LEASE + 1) == [None]


async def test_a_waiter_that_is_gone(inbox: Inbox, taker: Taking) -> None:
    """The taker gets what is durable also where nobody waits for the receipt any more."""
    put = asyncio.ensure_future(keep(inbox, "evt_1"))
    await asyncio.sleep(0)
    put.cancel()
    await keep(inbox, "evt_2")
    assert [lease.entry.delivery.id for lease in taker.taken] == ["evt_1", "evt_2"]
    assert taker.expected == 0


async def test_what_cannot_be_kept_is_not_expected_any_more(inbox: Inbox, taker: Taking) -> None:
    """A put that is refused leaves no room taken."""
    await inbox.close()
    with pytest.raises(InboxUnavailable):
        await keep(inbox, "evt_1")
    assert (taker.taken, taker.expected) == ([], 0)


async def test_a_new_process_has_what_was_handed_over(open_inbox: Open) -> None:
    """What was handed over and not settled is due again once that process is gone."""
    inbox = await open_inbox()
    if not inbox.hand_over_to(Taking()):
        pytest.skip("this engine hands nothing over")
    await keep(inbox, "evt_1")
    await inbox.close()
    again = await open_inbox()
    assert [lease.entry.delivery.id for lease in await again.lease(9, LEASE, NOW + LEASE + 1)] == ["evt_1"]
