"""How often each secret of a source was used, on every engine."""

from gateway.history import SecretUse
from gateway.inbox.contract import Inbox
from tests.inbox.conftest import Open
from tests.inbox.engines import DAY
from tests.inbox.samples import NOW, delivery


async def test_uses_are_counted_where_it_is_asked_for(open_inbox: Open) -> None:
    """Each delivery counts for its secret, re-sends included, over days and restarts, and no other does."""
    inbox = await open_inbox()
    await inbox.put([delivery("evt_1", secret="OLD"), delivery("evt_2", secret="NEW")], NOW, count_secrets=True)
    await inbox.put([delivery("evt_1", secret="NEW", received_at=NOW + DAY)], NOW + DAY, count_secrets=True)
    await inbox.put([delivery("evt_3", secret=None)], NOW, count_secrets=True)
    await inbox.put([delivery("evt_4", secret="OLD"), delivery("evt_5", source="other", secret="OLD")], NOW)
    expected = {"acme": {"OLD": SecretUse(1, NOW), "NEW": SecretUse(2, NOW + DAY)}}
    assert (await inbox.counts()).secrets == expected
    await inbox.close()
    assert (await (await open_inbox()).counts()).secrets == expected


async def test_uses_are_forgotten_with_the_bodies(inbox: Inbox) -> None:
    """A prune forgets the days that ended before the retention, and the latest day counts on."""
    for day in range(3):
        sent = delivery(f"evt_{day}", secret="OLD", received_at=NOW + day * DAY)
        await inbox.put([sent], NOW + day * DAY, count_secrets=True)
    while await inbox.prune(NOW + 2 * DAY, NOW):
        pass
    assert (await inbox.counts()).secrets == {"acme": {"OLD": SecretUse(1, NOW + 2 * DAY)}}


async def test_what_a_delivery_proved_is_kept(inbox: Inbox) -> None:
    """The secret's label, or the doubt of one that is not verified, comes back as it was put."""
    proved, doubtful = delivery("evt_1", secret="OLD"), delivery("unverified:evt_1", verified=False, doubt="why: so")
    for receipt, sent in zip(await inbox.put([proved, doubtful], NOW), (proved, doubtful), strict=True):
        history = await inbox.get(receipt.key)
        assert history
        assert history.entry.delivery == sent
