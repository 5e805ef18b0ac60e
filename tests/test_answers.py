"""What each provider is answered: a fault of ours must come again, and what can never be accepted must not."""

import pytest

from gateway import answers, providers
from gateway.answers import STATUS, SUCCESSES, TO_COME_AGAIN, Change, Outcome
from gateway.providers import Provider

NAMES = providers.names()
ENDING = {403, 410}
HOPELESS = (Outcome.MALFORMED, Outcome.ENCODING_UNSUPPORTED, Outcome.UNVERIFIED, Outcome.TOO_LARGE)


def provider(**fields: object) -> Provider:
    """Make a provider that is like any other but for these fields."""
    return Provider("acme", "transforms.generic:transform", "there", "there", **fields)  # type: ignore[arg-type]  # its own


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_of_ours_comes_again(name: str) -> None:
    """No provider is answered with a status on which it drops or disables, where nothing was wrong with the request."""
    known = providers.get(name)
    given = known.answer()
    for outcome in TO_COME_AGAIN:
        assert known.retries.sends_again(given[outcome].status), outcome
        assert not 200 <= given[outcome].status < 300
    assert given[Outcome.UNAVAILABLE].headers["Retry-After"] == "5"


@pytest.mark.parametrize("name", NAMES)
def test_what_is_accepted_counts_as_such(name: str) -> None:
    """Every provider is given a status that it takes for a success, for a re-send as for the first."""
    known = providers.get(name)
    given = known.answer()
    assert all(known.retries.is_success(given[outcome].status) for outcome in SUCCESSES)


@pytest.mark.parametrize("name", NAMES)
def test_no_answer_ends_a_subscription(name: str) -> None:
    """Nothing is answered with a status that ends more than one delivery, nor with success what was refused."""
    for outcome, answer in providers.get(name).answer().items():
        assert answer.status not in ENDING
        assert (outcome in SUCCESSES) == (200 <= answer.status < 300)


@pytest.mark.parametrize("name", [name for name in NAMES if providers.get(name).retries.on])
def test_what_is_hopeless_is_not_sent_again(name: str) -> None:
    """A provider that tells faults apart does not repeat what cannot be accepted however often it comes."""
    known = providers.get(name)
    given = known.answer()
    assert not any(known.retries.sends_again(given[outcome].status) for outcome in HOPELESS)


@pytest.mark.parametrize(
    ("name", "outcome", "status", "body"),
    [
        ("stripe", Outcome.ACCEPTED, 200, None),
        ("stripe", Outcome.UNVERIFIED, 401, None),
        ("adyen", Outcome.ACCEPTED, 200, b"[accepted]"),
        ("adyen", Outcome.DUPLICATE, 200, b"[accepted]"),
        ("slack", Outcome.ACCEPTED, 200, b""),
        ("discord", Outcome.ACCEPTED, 204, b""),
        ("front", Outcome.UNAVAILABLE, 429, None),
        ("brevo", Outcome.UNAVAILABLE, 429, None),
        ("brevo", Outcome.TOO_SLOW, 429, None),
        ("brevo", Outcome.MALFORMED, 400, None),
        ("nylas", Outcome.THROTTLED, 429, None),
        ("sanity", Outcome.TOO_SLOW, 503, None),
        ("postmark", Outcome.TOO_SLOW, 408, None),
        ("uber-eats", Outcome.THROTTLED, 503, None),
        ("gitlab", Outcome.TOO_SLOW, 503, None),
        ("mailgun", Outcome.MALFORMED, 400, None),
    ],
)
def test_an_answer(name: str, outcome: Outcome, status: int, body: bytes | None) -> None:
    """What a provider expects, or goes by, is what it is answered."""
    answer = providers.get(name).answer()[outcome]
    assert (answer.status, answer.body) == (status, body)


def test_slack_is_told_not_to_repeat_what_cannot_be_read() -> None:
    """What is signed and malformed asks for no retry, and what could not be kept does not."""
    given = providers.get("slack").answer()
    asking = {outcome for outcome, answer in given.items() if "X-Slack-No-Retry" in answer.headers}
    assert asking == {Outcome.MALFORMED, Outcome.ENCODING_UNSUPPORTED}


def test_a_source_has_its_own_success() -> None:
    """Its status, body and type are answered to what is kept and to its re-sends, and to nothing else."""
    usual, given = provider().answer(), provider().answer(Change(202, "got it", "text/html"))
    assert {outcome for outcome in Outcome if given[outcome] != usual[outcome]} == SUCCESSES
    answer = given[Outcome.DUPLICATE]
    assert (answer.status, answer.body, answer.type) == (202, b"got it", "text/html")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"acepted": Change(200)}, "acepted is no outcome; they are accepted, duplicate"),
        ({"accepted": Change(301)}, "301 is no status for accepted; take one from 200 to 299"),
        ({"unavailable": Change(200)}, "200 is no status for unavailable; take one from 400 to 599"),
        ({"unverified": Change(410)}, "410 is no status for unverified; take one from 400 to 599, and neither 403"),
        ({"unverified": Change(403)}, "403 is no status for unverified"),
    ],
)
def test_a_change_that_is_none(changes: dict[str, Change], sentence: str) -> None:
    """A change of no outcome, or one that says something else than the outcome, is refused with a sentence."""
    with pytest.raises(ValueError, match="^" + sentence.replace("(", ".")):
        provider(answers=changes)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"type": "text/plain"}, "there is no body"),
        ({"body": "x", "type": "text"}, "no media type"),
        ({"body": "x", "type": "text/plain\r\nX: y"}, "no media type"),
        ({"status": 204, "body": "x"}, "status 204 has no body"),
        ({"body": "x" * 5_000}, "longer than 4096"),
    ],
)
def test_what_is_no_answer(fields: dict[str, object], sentence: str) -> None:
    """An answer that HTTP cannot carry is refused with a sentence."""
    with pytest.raises(ValueError, match=sentence):
        Change(**fields)  # type: ignore[arg-type]  # what is refused


@pytest.mark.parametrize("headers", [{"X-A": "b\r\nSet-Cookie: c"}, {"X-A\n": "b"}, {"X-A": "\0"}])
def test_a_header_is_one_line(headers: dict[str, str]) -> None:
    """A header that would be sent as two is refused when the answer is made, by its name."""
    with pytest.raises(ValueError, match="the header 'X-A"):
        provider(answers={"accepted": Change(headers=headers)})


@pytest.mark.parametrize(
    ("status", "outcome"), [(status, outcome) for outcome, status in STATUS.items() if status > 200]
)
def test_a_rejection_is_an_outcome(status: int, outcome: Outcome) -> None:
    """The usual status of a rejection tells its outcome."""
    assert answers.of_status(status) is outcome


@pytest.mark.parametrize(("status", "outcome"), [(422, Outcome.MALFORMED), (507, Outcome.UNAVAILABLE)])
def test_another_status_is_an_outcome_too(status: int, outcome: Outcome) -> None:
    """A status that is no outcome's tells whose fault it is by its class."""
    assert answers.of_status(status) is outcome
