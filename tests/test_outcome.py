"""What each answer of the event API means, as a table."""

import bisect
import itertools
import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import EventApiInterrupted, EventApiUnreachable
from gateway.event_api import parse_retry_after
from gateway.lane import CAP_SECONDS, PROBE_SECONDS, Lane
from gateway.model import Delivery, Entry
from gateway.outcome import REJECTION_DELAYS_MS, Answer, Effect, Refusal, Rest, judge, refuse

IDS = ("a", "b", "c")

TABLE = [
    ("all in", Answer(200, IDS), 3, "accepted", 3, Rest.NONE, Effect.HEALTHY),
    ("too few ids", Answer(200, IDS[:2]), 3, "answer_unreadable", 0, Rest.FROZEN, Effect.BACK_OFF),
    ("ids of nothing", Answer(200, ()), 1, "answer_unreadable", 0, Rest.FROZEN, Effect.BACK_OFF),
    ("ids and an error", Answer(200, IDS, "half"), 3, "answer_unreadable", 0, Rest.FROZEN, Effect.BACK_OFF),
    ("a page", Answer(200, readable=False), 1, "answer_unreadable", 0, Rest.FROZEN, Effect.BACK_OFF),
    ("a prefix", Answer(400, IDS[:2], "bad"), 5, "refused", 2, Rest.SPLIT, Effect.NEUTRAL),
    ("none of several", Answer(400, (), "bad"), 5, "refused", 0, Rest.SPLIT, Effect.NEUTRAL),
    ("all ids and 400", Answer(400, IDS, "bad"), 3, "refused", 2, Rest.SPLIT, Effect.NEUTRAL),
    ("one alone", Answer(400, (), "bad"), 1, "refused", 0, Rest.REFUSED, Effect.NEUTRAL),
    ("unknown key", Answer(401, (), "Event key not found"), 3, "misconfigured", 0, Rest.AGAIN, Effect.PAUSE),
    ("forbidden", Answer(403), 3, "misconfigured", 0, Rest.AGAIN, Effect.PAUSE),
    ("wrong path", Answer(404, readable=False), 3, "misconfigured", 0, Rest.AGAIN, Effect.PAUSE),
    ("gone", Answer(410), 3, "misconfigured", 0, Rest.AGAIN, Effect.PAUSE),
    ("another 4xx", Answer(412, (), "Event transformation failed"), 3, "misconfigured", 0, Rest.AGAIN, Effect.PAUSE),
    ("redirect", Answer(303, readable=False), 3, "misconfigured", 0, Rest.AGAIN, Effect.PAUSE),
    ("too large", Answer(413), 3, "too_large", 0, Rest.HALVE, Effect.NEUTRAL),
    ("one too large", Answer(413), 1, "too_large", 0, Rest.DEAD, Effect.NEUTRAL),
    ("timeout there", Answer(408), 3, "event_api_failed", 0, Rest.FROZEN, Effect.BACK_OFF),
    ("too early", Answer(425), 3, "event_api_failed", 0, Rest.FROZEN, Effect.BACK_OFF),
    ("throttled", Answer(429), 3, "throttled", 0, Rest.AGAIN, Effect.BACK_OFF),
    ("failing", Answer(500), 3, "event_api_failed", 0, Rest.FROZEN, Effect.BACK_OFF),
    ("unavailable", Answer(503), 3, "event_api_failed", 0, Rest.FROZEN, Effect.BACK_OFF),
    ("refused", EventApiUnreachable("no"), 3, "unreachable", 0, Rest.AGAIN, Effect.BACK_OFF),
    ("broken off", EventApiInterrupted("no"), 3, "interrupted", 0, Rest.FROZEN, Effect.BACK_OFF),
]


@pytest.mark.parametrize(
    ("answer", "sent", "label", "accepted", "rest", "effect"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_answer(
    answer: Answer | EventApiInterrupted, sent: int, label: str, accepted: int, rest: Rest, effect: Effect
) -> None:
    """Each answer says what became of the events and what it does to the lane."""
    verdict = judge(answer, sent)
    assert (verdict.label, verdict.accepted, verdict.rest, verdict.effect) == (label, accepted, rest, effect)


@pytest.mark.parametrize(("given", "used"), [(None, None), (0.0, 1.0), (7.0, 7.0), (10.0**9, 3_600.0)])
def test_retry_after_is_clamped(given: float | None, used: float | None) -> None:
    """The event API may ask for a wait between a second and an hour."""
    assert judge(Answer(429, retry_after=given), 1).retry_after == used


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        ("", None),
        ("soon", None),
        ("-3", None),
        ("Wed, 21 Oct 2015 07:28:10 GMT", 10.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("9" * 400, 999_999_999_999.0),
    ],
)
def test_retry_after_grammar(text: str, seconds: float | None) -> None:
    """Retry-After is seconds or an HTTP date; anything else is as if it were absent."""
    assert parse_retry_after(text, 1_445_412_480.0) == seconds


FIRST, *LATER = REJECTION_DELAYS_MS
TRIES = len(REJECTION_DELAYS_MS)
AT = 1_000_000

REFUSALS = [
    # name; before: how many counted, the last one (ms ago), the wait after it; a success (ms ago); now: counted, wait
    ("the first", 0, None, 0, None, 1, FIRST),
    ("the first while others succeed", 0, None, 0, 1, 1, FIRST),
    ("nobody succeeded", 1, FIRST, FIRST, None, 1, LATER[0]),
    ("others succeeded only before", 1, FIRST, FIRST, FIRST + 1, 1, LATER[0]),
    ("others succeeded at that very time", 1, FIRST, FIRST, FIRST, 1, LATER[0]),
    ("others succeeded since", 1, FIRST, FIRST, 1, 2, LATER[0]),
    ("tried late", 2, 70_000, LATER[0], 1, 3, LATER[1]),
    ("the longest wait", 3, LATER[-1], LATER[-1], 1, 4, LATER[-1]),
    ("the last but one", TRIES - 1, FIRST, FIRST, 1, TRIES, LATER[0]),
    ("all tries and nobody succeeds", TRIES, LATER[-1], LATER[-1], None, TRIES, LATER[-1]),
    ("all tries and others succeeded only before", TRIES, FIRST, FIRST, FIRST + 1, TRIES, LATER[0]),
    ("all tries while others succeed", TRIES, LATER[-1], LATER[-1], 1, TRIES + 1, None),
]


def refused_entry(rejections: int, rejected_at: int | None, due_at: int) -> Entry:
    """Make an entry as refusals left it."""
    sent = Delivery("acme", "hmac", "evt_1", "made", AT, b"{}")
    return Entry(1, sent, due_at=due_at, rejections=rejections, rejected_at=rejected_at)


@pytest.mark.parametrize(
    ("rejections", "ago", "waited", "success_ago", "counted", "wait"),
    [row[1:] for row in REFUSALS],
    ids=[row[0] for row in REFUSALS],
)
def test_refusal(
    rejections: int, ago: int | None, waited: int, success_ago: int | None, counted: int, wait: int | None
) -> None:
    """A refusal speaks against an entry only where others succeeded since the one before; each wait is longer."""
    before = None if ago is None else AT - ago
    entry = refused_entry(rejections, before, AT if before is None else before + waited)
    refusal = refuse(entry, AT, None if success_ago is None else AT - success_ago)
    assert refusal == Refusal(counted, None if wait is None else AT + wait)


def life(good: Sequence[tuple[int, int]], successes: Sequence[int], until: int, *, poisoned: bool) -> tuple[str, int]:
    """Try one entry until it ends: `good` are the times of fair weather, `successes` when others were accepted."""
    entry, now = refused_entry(0, None, 0), 0
    while now < until:
        if not poisoned and any(start <= now < end for start, end in good):
            return "forwarded", now
        known = bisect.bisect_right(successes, now)
        last_success = successes[known - 1] if known else None
        refusal = refuse(entry, now, last_success)
        if refusal.due_at is None:
            return "dead", now
        entry, now = refused_entry(refusal.rejections, now, refusal.due_at), refusal.due_at
    return "pending", now


DAY_MS = 86_400_000
SPELL = st.integers(1, 3 * DAY_MS)


@given(first=SPELL, fair=st.integers(1, 2 * LATER[-1]), second=SPELL, data=st.data())
def test_two_spells_of_refusing_everything(first: int, fair: int, second: int, data: st.DataObject) -> None:
    """However long the event API refuses everything, twice, with others accepted in between, a good event arrives."""
    between = sorted(data.draw(st.lists(st.integers(first, first + fair - 1), max_size=50)))
    end = first + fair + second
    weather = [(first, first + fair), (end, end + DAY_MS)]
    assert life(weather, [*between, end], end + DAY_MS, poisoned=False)[0] == "forwarded"


@given(gaps=st.lists(st.integers(1_000, 60_000), min_size=1, max_size=50))
def test_a_poisoned_event_among_others_dies(gaps: list[int]) -> None:
    """While others are accepted every minute or sooner, a poisoned event dies after its tries: minutes, not hours."""
    once = list(itertools.accumulate(gaps))
    successes = [start + at for start in range(0, 2 * 3_600_000, once[-1]) for at in once]
    ended, at = life([], successes, 2 * 3_600_000, poisoned=True)
    assert ended == "dead"
    assert 5 * 60_000 <= at <= sum(REJECTION_DELAYS_MS) + 2 * REJECTION_DELAYS_MS[-1]


def test_a_poisoned_event_alone_waits() -> None:
    """With no other event to tell its fault from the event API's, a poisoned event is tried again for ever."""
    assert life([], [], 30 * DAY_MS, poisoned=True)[0] == "pending"


def test_back_off_is_jittered_and_capped() -> None:
    """The wait is drawn from zero to a bound that doubles up to five minutes, and ends with a success."""
    lane, now, waits = Lane(random.Random(1)), 0, []
    for _ in range(200):
        lane.failed(now, "down")
        waits.append(lane.wait(now))
        now = lane.resume_at
    assert max(waits[:1]) <= 1
    assert 0.9 * CAP_SECONDS < max(waits) <= CAP_SECONDS
    assert min(waits[20:]) < 0.2 * CAP_SECONDS
    assert lane.succeeded(now)
    assert (lane.state, lane.wait(now)) == ("healthy", 0)


def test_failures_that_were_under_way_together_count_once() -> None:
    """Four requests that fail in the same outage do not quadruple the back-off."""
    lane = Lane(random.Random(1))
    assert [lane.failed(0, "down", retry_after=5.0) for _ in range(4)] == [True, False, False, False]
    assert lane.failures == 1


def test_pause_probes_and_says_so_once() -> None:
    """A wrong key pauses the lane with a probe from time to time, and is one change of state, not many."""
    lane = Lane(random.Random(1))
    assert lane.misconfigured(0, "wrong key")
    assert lane.wait(0) == PROBE_SECONDS
    assert not lane.misconfigured(30_000, "wrong key")
    assert lane.state == "paused"
    lane.probe_at_once()
    assert lane.wait(30_001) == 0
    assert lane.succeeded(30_002)
    assert not lane.succeeded(30_003)
