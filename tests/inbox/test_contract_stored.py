"""Walks over stored deliveries and event names, on every engine."""

import pytest

from gateway.history import Query
from gateway.inbox.contract import Inbox
from gateway.inbox.rows import STEP_BYTES
from gateway.model import SentEvent, State
from tests.inbox.engines import DAY
from tests.inbox.samples import LEASE, NOW, answered, delivery, keep, settle_all


async def test_stored_deliveries_come_by_key_with_their_bodies(inbox: Inbox) -> None:
    """Every entry that matches comes once, oldest first, in steps, whatever its state."""
    await keep(inbox, "evt_1", "evt_2")
    await settle_all(inbox, State.FORWARDED)
    await keep(inbox, "evt_3")
    await inbox.put([delivery("other", source="other")], NOW)
    query, found = Query(source="acme", limit=2), []
    after = 0
    while step := await inbox.stored(Query(source="acme", limit=2, after=after)):
        found += [(entry.delivery.id, entry.delivery.body) for entry in step]
        after = step[-1].key
    assert found == [(name, delivery(name).body) for name in ("evt_1", "evt_2", "evt_3")]
    assert await inbox.count_stored(query) == 3
    assert await inbox.count_stored(Query(until=NOW)) == 0


async def test_stored_leaves_out_what_retention_took(inbox: Inbox) -> None:
    """An entry whose body is gone is neither counted nor returned."""
    await keep(inbox, "evt_1")
    await settle_all(inbox, State.FORWARDED)
    await inbox.prune(NOW + DAY, 0)
    assert await inbox.stored(Query()) == []
    assert await inbox.count_stored(Query()) == 0


async def test_a_step_is_short_when_bodies_are_large(inbox: Inbox) -> None:
    """Large bodies make a step end early, and none is left out."""
    large = b"x" * (STEP_BYTES // 2 + 1)
    await inbox.put([delivery(f"evt_{n}", body=large, content=large) for n in range(3)], NOW)
    first = await inbox.stored(Query(limit=10))
    rest = await inbox.stored(Query(limit=10, after=first[-1].key))
    assert [entry.delivery.id for entry in (*first, *rest)] == ["evt_0", "evt_1", "evt_2"]
    assert len(first) == 2


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_event_names_are_counted_in_steps(inbox: Inbox, limit: int) -> None:
    """Each step counts the names of its entries, and says which of them are not the sender's type."""
    await inbox.put([delivery(f"evt_{n}", received_at=NOW + n) for n in range(3)], NOW)
    for lease in await inbox.lease(10, LEASE, NOW):
        name = lease.entry.delivery.id
        sent = (SentEvent(f"{name}:1", "acme/order.created"), SentEvent(f"{name}:2", "acme/order.counted"))
        await inbox.settle([(lease, answered(lease, events=sent))], NOW)
    after, samples = 0, {}
    counts: dict[str, tuple[int, int]] = {}
    while (step := await inbox.event_names("", after, limit)).last_key != after:
        after = step.last_key
        for one in step.names:
            count, renamed = counts.get(one.name, (0, 0))
            counts[one.name] = count + one.count, renamed + one.renamed
            samples[one.name] = one.sample
    assert counts == {"acme/order.created": (3, 0), "acme/order.counted": (3, 3)}
    assert samples == {"acme/order.created": "evt_2:1", "acme/order.counted": "evt_2:2"}
    assert (await inbox.event_names("other", 0, 100)).names == ()
