"""Following what happens: what each follower is told, and that nobody waits for one."""

import asyncio

from gateway.feed import MOST_WAITING, Feed, Happening, Wanted
from gateway.model import Attempt, Entry, Lease, SentEvent, Settlement, State
from tests.inbox.samples import NOW, delivery


def feed() -> Feed:
    """Make a feed whose time stands still, half a second after the deliveries were received."""
    return Feed(lambda: NOW + 500)


def answer(told: Feed, source: str = "acme", outcome: str = "accepted", kind: str = "order.created") -> None:
    """Tell of an answer."""
    made = delivery("evt_1", source=source, type=kind) if outcome == "accepted" else None
    told.answered(source, outcome, 200, reason="", seconds=0.25, delivery=made)


async def test_both_halves_are_told() -> None:
    """An answer tells how the request ended, a settlement what became of the delivery."""
    told = feed()
    lease = Lease(Entry(1, delivery("evt_1")), "token", NOW)
    sent = (SentEvent("acme:evt_1", "acme/order.created", "01"),)
    with told.follow(Wanted()) as follower:
        answer(told)
        told.answered("acme", "rejected", 401, reason="signature_mismatch", seconds=0, delivery=None)
        told.settled(lease, Settlement(State.FORWARDED, attempt=Attempt(2, NOW, 5, "accepted", 200), events=sent))
        told.settled(lease, Settlement(State.DEAD, reason="KeyError"))
        assert await follower.next(1) == [
            Happening(NOW + 500, "acme", "accepted", "evt_1", "order.created", 200, "", 250),
            Happening(NOW + 500, "acme", "rejected", status=401, reason="signature_mismatch"),
            Happening(
                NOW + 500, "acme", "forwarded", "evt_1", "order.created", 200, "", 500, 2, ("acme/order.created",)
            ),
            Happening(NOW + 500, "acme", "dead", "evt_1", "order.created", None, "KeyError", 500),
        ]


async def test_each_is_told_what_it_wants() -> None:
    """Source, type and outcome narrow what one is told, and not what others are."""
    told = feed()
    wanted = {
        "all": Wanted(),
        "source": Wanted(source="acme"),
        "type": Wanted(type="order.paid"),
        "outcome": Wanted(outcomes=frozenset({"rejected", "dead"})),
    }
    followers = {name: told.follow(one) for name, one in wanted.items()}
    opened = {name: one.__enter__() for name, one in followers.items()}
    answer(told)
    answer(told, source="other", kind="order.paid")
    answer(told, outcome="rejected")
    seen = {name: len(await one.next(1) or []) for name, one in opened.items()}
    assert seen == {"all": 3, "source": 2, "type": 1, "outcome": 1}
    for one in followers.values():
        one.__exit__(None, None, None)
    assert not told.is_followed


async def test_nobody_waits_for_a_slow_follower() -> None:
    """What finds no room is counted and dropped."""
    told = feed()
    with told.follow(Wanted()) as follower:
        for _ in range(MOST_WAITING + 3):
            answer(told)
        assert len(await follower.next(1) or []) == MOST_WAITING
        assert follower.dropped == 3


async def test_a_quiet_time_is_an_empty_list_and_the_end_is_none() -> None:
    """A follower learns that nothing happened, gets what was told before the end, and then learns of the end."""
    told = feed()
    with told.follow(Wanted()) as follower:
        assert await follower.next(0.01) == []
        waiting = asyncio.create_task(follower.next(10))
        await asyncio.sleep(0)
        answer(told)
        told.close()
        assert len(await waiting or []) == 1
        assert await follower.next(10) is None
    with told.follow(Wanted()) as late:
        assert await late.next(10) is None
