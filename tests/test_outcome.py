"""What each answer of the event API means, as a table."""

import random

import pytest

from gateway.errors import EventApiInterrupted, EventApiUnreachable
from gateway.event_api import parse_retry_after
from gateway.lane import CAP_SECONDS, PROBE_SECONDS, Lane
from gateway.outcome import REJECTION_DELAYS_MS, Answer, Effect, Rest, judge, refuse

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


def test_one_event_is_given_up_only_while_others_succeed() -> None:
    """All tries used, over minutes, and another event accepted since: only then is an event dead."""
    now, rejections, since = 1_000_000, 0, None
    for delay in REJECTION_DELAYS_MS:
        refusal = refuse(rejections, since, now, last_success=None)
        assert refusal.due_at == now + delay
        rejections, since, now = refusal.rejections, refusal.rejected_at, now + delay
    assert refuse(rejections, since, now, last_success=None).due_at is not None
    assert refuse(rejections, since, now, last_success=999_999).due_at is not None
    assert refuse(rejections, since, now, last_success=now - 1).due_at is None
    assert now - 1_000_000 >= 5 * 60_000


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
