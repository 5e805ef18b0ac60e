"""The verdict notices every kind of broken promise, and takes nothing else for one."""

import pytest

from gateway.model import State
from gateway.torture.oracle import Accepted, Answered
from gateway.torture.verdict import judge

SENT = Answered("stripe", "evt_1", "p1", "genuine", 200)
ARRIVED = Accepted("stripe:evt_1:invoice.paid", "bytes", "p1", 1, "seed")


def test_all_is_well() -> None:
    """What was acknowledged and arrived is no violation, however often the provider and the gateway repeated it."""
    unanswered = Answered("stripe", "evt_1", "p1", "genuine", None)
    forged = Answered("stripe", "evt_2", "p2", "tampered", 401)
    verdict = judge([unanswered, SENT, SENT, forged], [ARRIVED, ARRIVED], {})
    assert verdict.violations == []
    assert (verdict.requests, verdict.acknowledged, verdict.events, verdict.ids, verdict.duplicates) == (4, 1, 2, 1, 1)


def test_what_was_not_acknowledged_may_arrive_or_not() -> None:
    """Without a 2xx there is no promise: neither absence nor arrival is a violation."""
    refused = Answered("stripe", "evt_1", "p1", "genuine", 503)
    assert judge([refused], [], {}).violations == []
    assert judge([refused], [ARRIVED], {}).violations == []


@pytest.mark.parametrize("state", [State.PENDING, State.LEASED])
def test_what_waits_is_not_lost(state: State) -> None:
    """An acknowledged delivery whose next try is still to come is counted as waiting."""
    verdict = judge([SENT], [], {("stripe", "evt_1"): state})
    assert verdict.violations == []
    assert verdict.waiting == 1


def test_a_loss() -> None:
    """An acknowledged delivery that neither arrived nor waits is lost, as is one that was skipped."""
    assert judge([SENT], [], {}).lost == ("acknowledged and lost: stripe evt_1",)
    assert judge([SENT], [], {("stripe", "evt_1"): State.SKIPPED}).lost


def test_other_bytes() -> None:
    """One event id with two kinds of bytes is a violation."""
    other = Accepted(ARRIVED.event, "other bytes", "p1", 2, "seed")
    assert judge([SENT], [ARRIVED, other], {}).different_bytes


def test_another_id() -> None:
    """One delivery under two event ids is a violation, as whoever dedupes by id would run twice."""
    other = Accepted("stripe:evt_1:invoice.voided", "bytes", "p1", 2, "seed")
    assert judge([SENT], [ARRIVED, other], {}).several_ids


def test_a_dead_letter() -> None:
    """No fault that the suite plays is an entry's own, so any dead letter is a violation."""
    verdict = judge([SENT], [], {("stripe", "evt_1"): State.DEAD})
    assert verdict.dead == ("dead letter: stripe evt_1",)
    assert verdict.lost == ()


@pytest.mark.parametrize("kind", ["tampered", "stale"])
def test_a_forgery_that_is_acknowledged(kind: str) -> None:
    """A 2xx to a forged or stale request is a violation even if nothing was forwarded."""
    assert judge([Answered("stripe", "evt_1", "p1", kind, 200)], [], {}).unverified  # type: ignore[arg-type]


def test_a_forgery_that_is_forwarded() -> None:
    """An event of a delivery that was never sent, or with data that its provider did not send, is a violation."""
    assert judge([], [ARRIVED], {}).unverified
    altered = Accepted(ARRIVED.event, "bytes", "p2", 1, "seed")
    assert judge([SENT], [altered], {}).unverified
