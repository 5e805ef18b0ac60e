"""Durable puts, receipts and the dedupe window, on every engine."""

import asyncio
import gzip
import hashlib
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.history import Query
from gateway.inbox.contract import Inbox
from gateway.model import Delivery, State
from tests.inbox.conftest import Open
from tests.inbox.engines import DAY
from tests.inbox.samples import LEASE, NOW, answered, delivery, keep, settle_all


async def test_a_receipt_names_a_new_entry(inbox: Inbox) -> None:
    """A first put gives a key of its own and the time it was first seen."""
    first, second = await inbox.put([delivery("evt_1"), delivery("evt_2")], NOW)
    assert (first.duplicate, first.first_seen_at) == (False, NOW)
    assert second.key > first.key


async def test_nothing_put_is_nothing_kept(inbox: Inbox) -> None:
    """A put of no deliveries gives no receipts."""
    assert await inbox.put([], NOW) == []


async def test_what_was_put_is_there_after_reopening(open_inbox: Open) -> None:
    """Entries and their states outlive the process that put them, and what it had leased can be leased again."""
    inbox = await open_inbox()
    keys = await keep(inbox, "evt_1", "evt_2")
    [taken] = await inbox.lease(1, LEASE, NOW)
    await inbox.settle([(taken, answered(taken))], NOW)
    [taken] = await inbox.lease(1, LEASE, NOW)
    await inbox.close()
    again = await open_inbox()
    histories = [await again.get(key) for key in keys]
    assert [history.entry.delivery for history in histories if history] == [delivery("evt_1"), delivery("evt_2")]
    assert [history.entry.state for history in histories if history][:1] == [State.FORWARDED]
    [retaken] = await again.lease(1, LEASE, NOW + LEASE + 1)
    assert retaken.entry.key == taken.entry.key
    assert retaken.token != taken.token


async def test_a_resend_is_absorbed_and_counted(inbox: Inbox) -> None:
    """The same id again stores nothing, names the first entry, and is counted with its time."""
    [first] = await inbox.put([delivery("evt_1")], NOW)
    [again] = await inbox.put([delivery("evt_1", body=b"another body")], NOW + 5)
    assert (again.key, again.duplicate, again.first_seen_at) == (first.key, True, NOW)
    history = await inbox.get(first.key)
    assert history
    assert (history.duplicates, history.last_duplicate_at) == (1, NOW + 5)
    assert history.entry.delivery == delivery("evt_1")
    assert len(await inbox.lease(10, LEASE, NOW + 5)) == 1


async def test_equal_deliveries_in_one_put(inbox: Inbox) -> None:
    """Of two equal deliveries in one call the second is the duplicate."""
    first, second = await inbox.put([delivery("evt_1"), delivery("evt_1")], NOW)
    assert (first.duplicate, second.duplicate, second.key) == (False, True, first.key)


async def test_a_hundred_concurrent_resends(inbox: Inbox) -> None:
    """The same delivery a hundred times at once makes one entry and ninety-nine duplicates of it."""
    answers = await asyncio.gather(*(inbox.put([delivery("evt_1")], NOW) for _ in range(100)))
    receipts = [receipt for answer in answers for receipt in answer]
    assert sum(not receipt.duplicate for receipt in receipts) == 1
    assert len({receipt.key for receipt in receipts}) == 1
    assert (await inbox.counts()).duplicates == {"acme": 99}


async def test_an_id_belongs_to_its_source(inbox: Inbox) -> None:
    """The same id from another source is another delivery."""
    receipts = await inbox.put([delivery("evt_1"), delivery("evt_1", source="other")], NOW)
    assert [receipt.duplicate for receipt in receipts] == [False, False]


@pytest.mark.parametrize("state", [State.FORWARDED, State.SKIPPED, State.DEAD])
async def test_a_settled_entry_still_absorbs(inbox: Inbox, state: State) -> None:
    """A re-send after the entry was settled changes nothing."""
    [key] = await keep(inbox, "evt_1")
    await settle_all(inbox, state)
    [again] = await inbox.put([delivery("evt_1")], NOW + DAY)
    assert (again.duplicate, again.key) == (True, key)
    history = await inbox.get(key)
    assert history
    assert history.entry.state is state


async def test_the_window_ends(inbox: Inbox) -> None:
    """An id is absorbed up to the window's last millisecond and is a new delivery after it."""
    [key] = await keep(inbox, "evt_1")
    [last] = await inbox.put([delivery("evt_1")], NOW + 7 * DAY)
    [new] = await inbox.put([delivery("evt_1")], NOW + 7 * DAY + 1)
    assert (last.duplicate, last.key) == (True, key)
    assert (new.duplicate, new.first_seen_at) == (False, NOW + 7 * DAY + 1)
    assert new.key != key
    [absorbed] = await inbox.put([delivery("evt_1")], NOW + 8 * DAY)
    assert (absorbed.duplicate, absorbed.key) == (True, new.key)
    assert [found.entry.key for found in await inbox.search(Query(id="evt_1"))] == [new.key, key]


async def test_how_far_its_time_has_come(open_inbox: Open) -> None:
    """An inbox tells the latest time at which it was changed, to a second, whatever came after; a new one tells 0."""
    inbox = await open_inbox()
    assert inbox.reached == 0
    await keep(inbox, "evt_1", now=NOW + DAY)
    await keep(inbox, "evt_2", now=NOW)
    await inbox.close()
    again = await open_inbox()
    assert again.reached == NOW + DAY
    [lease] = await again.lease(1, LEASE, NOW + 2 * DAY)
    await again.settle([(lease, answered(lease))], NOW + 3 * DAY)
    assert await again.lease(9, LEASE, NOW - DAY) == []
    await again.close()
    assert (await open_inbox()).reached == NOW + 3 * DAY


async def test_an_id_that_is_free_again_keeps_its_turn(inbox: Inbox) -> None:
    """Entries of one put are in its order, whether their ids were never seen or are forgotten."""
    await keep(inbox, "evt_2")
    [before] = await inbox.lease(9, LEASE, NOW)
    await inbox.settle([(before, answered(before))], NOW)
    later = NOW + 7 * DAY + 1
    keys = await keep(inbox, "evt_1", "evt_2", "evt_3", now=later)
    assert keys == sorted(keys)
    leases = await inbox.lease(9, LEASE, later)
    assert [lease.entry.delivery.id for lease in leases] == ["evt_1", "evt_2", "evt_3"]


async def test_a_window_of_its_own(inbox: Inbox) -> None:
    """A put may set its window: its id is absorbed for that long, longer or shorter than the inbox's."""
    [long] = await inbox.put([delivery("long")], NOW, 30 * DAY)
    [short] = await inbox.put([delivery("short")], NOW, DAY)
    later = [await inbox.put([delivery("long"), delivery("short")], NOW + days * DAY + 1) for days in (0, 1, 29, 30)]
    assert [receipts[0].duplicate for receipts in later] == [True, True, True, False]
    assert [receipts[1].duplicate for receipts in later] == [True, False, False, True]
    assert (later[2][0].key, later[0][1].key) == (long.key, short.key)


async def test_a_window_outlives_the_body(inbox: Inbox) -> None:
    """The narrow entry stays for as long as its own window, and goes with it."""
    [kept] = await inbox.put([delivery("long")], NOW, 30 * DAY)
    await settle_all(inbox, State.FORWARDED)
    while await inbox.prune(NOW + 1, NOW + 30 * DAY):
        pass
    [again] = await inbox.put([delivery("long")], NOW + 30 * DAY)
    assert (again.duplicate, again.key) == (True, kept.key)
    assert await inbox.get(kept.key)
    while await inbox.prune(NOW + 1, NOW + 30 * DAY + 1):
        pass
    assert await inbox.get(kept.key) is None


def signed(name: str, bytes_signed: str, **fields: Any) -> Delivery:
    """Make a delivery whose id is not covered by its signature."""
    return delivery(name, digest=hashlib.sha256(bytes_signed.encode()).hexdigest(), **fields)


async def test_equal_signed_bytes_under_another_id(inbox: Inbox) -> None:
    """The same digest is a re-send whatever its id says; the receipt names the entry and its id."""
    [first] = await inbox.put([signed("evt_1", "a")], NOW)
    [replayed] = await inbox.put([signed("evt_2", "a")], NOW + 5)
    assert (replayed.key, replayed.duplicate, replayed.first_seen_at) == (first.key, True, NOW)
    assert (first.known_as, replayed.known_as) == ("", "evt_1")
    history = await inbox.get(first.key)
    assert history
    assert (history.duplicates, history.last_duplicate_at) == (1, NOW + 5)
    assert history.entry.delivery == signed("evt_1", "a")
    assert (await inbox.counts()).duplicates == {"acme": 1}


async def test_an_equal_id_over_other_signed_bytes(inbox: Inbox) -> None:
    """A re-send whose bytes were written anew is known by its id, and by nothing else is it said to be."""
    [first] = await inbox.put([signed("evt_1", "a")], NOW)
    [again] = await inbox.put([signed("evt_1", "b")], NOW)
    assert (again.key, again.duplicate, again.known_as) == (first.key, True, "")


async def test_an_absorbed_re_send_claims_nothing(inbox: Inbox) -> None:
    """Neither the id nor the digest of a duplicate is taken, so that nobody can block a delivery to come with it."""
    await inbox.put([signed("evt_1", "a")], NOW)
    absorbed = await inbox.put([signed("evt_2", "a"), signed("evt_1", "b")], NOW)
    genuine = await inbox.put([signed("evt_2", "c"), signed("evt_3", "b")], NOW)
    assert [receipt.duplicate for receipt in (*absorbed, *genuine)] == [True, True, False, False]


async def test_id_and_digest_of_two_entries(inbox: Inbox) -> None:
    """Where the id is of one entry and the digest of another, the receipt names the older."""
    first, second = await inbox.put([signed("evt_1", "a"), signed("evt_2", "b")], NOW)
    [by_digest] = await inbox.put([signed("evt_2", "a")], NOW)
    [by_id] = await inbox.put([signed("evt_1", "b")], NOW)
    assert (by_digest.key, by_digest.known_as) == (first.key, "evt_1")
    assert (by_id.key, by_id.known_as) == (first.key, "")
    assert second.key > first.key


async def test_a_digest_belongs_to_its_source(inbox: Inbox) -> None:
    """The same signed bytes at another source are another delivery."""
    receipts = await inbox.put([signed("evt_1", "a"), signed("evt_2", "a", source="other")], NOW)
    assert [receipt.duplicate for receipt in receipts] == [False, False]


async def test_no_digest_is_no_key(inbox: Inbox) -> None:
    """Deliveries without a digest are told apart by their ids alone."""
    receipts = await inbox.put([delivery("evt_1"), delivery("evt_2"), signed("evt_3", "a")], NOW)
    assert [receipt.duplicate for receipt in receipts] == [False, False, False]


async def test_equal_signed_bytes_at_once(inbox: Inbox) -> None:
    """The same signed bytes under a hundred ids at once make one entry, in one put or in a hundred."""
    one = await inbox.put([signed(f"one_{n}", "a") for n in range(100)], NOW)
    many = await asyncio.gather(*(inbox.put([signed(f"many_{n}", "b")], NOW) for n in range(100)))
    for receipts in (one, [receipt for answer in many for receipt in answer]):
        assert sum(not receipt.duplicate for receipt in receipts) == 1
        assert len({receipt.key for receipt in receipts}) == 1


async def test_what_is_free_again_comes_before_its_re_send(inbox: Inbox) -> None:
    """Of one put the first is the delivery and the next its re-send, also where its id was known before."""
    await inbox.put([delivery("evt_1")], NOW, 5)
    again, other, by_digest = await inbox.put(
        [signed("evt_1", "a"), signed("evt_2", "b"), signed("evt_3", "a")], NOW + 6
    )
    assert [receipt.duplicate for receipt in (again, other, by_digest)] == [False, False, True]
    assert (by_digest.key, by_digest.known_as) == (again.key, "evt_1")
    history = await inbox.get(again.key)
    assert history
    assert history.entry.delivery == signed("evt_1", "a")


async def test_a_digest_ends_with_its_window(open_inbox: Open) -> None:
    """A digest outlives the process, is absorbed up to the window's last millisecond, and may be claimed after it."""
    inbox = await open_inbox()
    await inbox.put([signed("evt_1", "a")], NOW)
    await inbox.close()
    inbox = await open_inbox()
    [last] = await inbox.put([signed("evt_2", "a")], NOW + 7 * DAY)
    [new] = await inbox.put([signed("evt_3", "a")], NOW + 7 * DAY + 1)
    [again] = await inbox.put([signed("evt_4", "a")], NOW + 8 * DAY)
    assert (last.duplicate, new.duplicate, again.duplicate, again.known_as) == (True, False, True, "evt_3")
    [freed] = await inbox.put([signed("evt_1", "d")], NOW + 8 * DAY)
    assert not freed.duplicate


NAMES = st.text(min_size=1, max_size=40)
BODIES = st.binary(max_size=300)
HEADERS = st.dictionaries(NAMES, st.text(max_size=40), max_size=4)


@st.composite
def deliveries(draw: st.DrawFn) -> Delivery:
    """Draw a delivery with any text and bytes, its content equal to the body, compressed in it, or unrelated."""
    body, headers = draw(BODIES), draw(HEADERS)
    fields: dict[str, Any] = {"body": body, "content": body}
    match draw(st.sampled_from(["plain", "gzip", "unrelated"])):
        case "gzip":
            fields = {"body": gzip.compress(body), "content": body}
            headers["content-encoding"] = draw(st.sampled_from(["gzip", "GZIP ", "x-gzip"]))
        case "unrelated":
            fields["content"] = draw(BODIES)
            headers["content-encoding"] = draw(st.sampled_from(["", "gzip", "br"]))
    return delivery(
        draw(NAMES),
        source=draw(NAMES),
        provider=draw(NAMES),
        type=draw(st.text(max_size=20)),
        time=draw(st.none() | st.integers(0, 2**52)),
        version=draw(st.none() | st.text(max_size=10)),
        headers=headers,
        query=draw(st.text(max_size=20)),
        secret=draw(st.none() | st.integers(0, 9)),
        digest=draw(st.sampled_from(["", "00" * 32])),
        traceparent=draw(st.sampled_from(["", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "no-trace"])),
        **fields,
    )


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(kept=deliveries())
async def test_every_delivery_comes_back_as_it_was(inbox: Inbox, kept: Delivery) -> None:
    """Whatever text and bytes a delivery holds, lease and get return it unchanged."""
    [receipt] = await inbox.put([kept], NOW)
    history = await inbox.get(receipt.key)
    assert history
    leased = [lease.entry.delivery for lease in await inbox.lease(100, LEASE, NOW)]
    if not receipt.duplicate:
        assert history.entry.delivery == kept
        assert leased == [kept]


async def test_a_compressed_body_survives_reopening(open_inbox: Open) -> None:
    """A delivery whose content is not its body is the same after reopening."""
    inbox = await open_inbox()
    content = b"0123456789" * 10_000
    sent = delivery(body=gzip.compress(content), content=content, headers={"content-encoding": "gzip"})
    await inbox.put([sent], NOW)
    await inbox.close()
    [lease] = await (await open_inbox()).lease(1, LEASE, NOW)
    assert lease.entry.delivery == sent
