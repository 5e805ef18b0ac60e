"""The give-up clock: what it tells of each kind of provider, and what begins and ends it."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway import providers, refusals
from gateway.give_up import FORGOTTEN_MS, HOUR_MS, Refusing, clock, refused
from gateway.providers import Retries
from gateway.refusals import Refusals
from gateway.sources import Source
from tests.mapped import mapper

NOW = 1_800_000_000_000
STRIPE = Retries(72)


def after(retries: Retries, *, times: int = 1, every: int = 0, status: int = 503) -> Refusing:
    """Return the record of so many refusals, the first at NOW."""
    record = None
    for n in range(times):
        record = refused(record, retries, at=NOW + n * every, status=status, reason="inbox_unavailable")
    assert record is not None
    return record


@pytest.mark.parametrize(
    ("retries", "at", "seconds"),
    [
        (Retries(72), 0, 72 * 3600),
        (Retries(72), 71 * HOUR_MS, 3600),
        (Retries(72), 80 * HOUR_MS, 0),
        (Retries(0), 0, 0),
        (Retries(None), 0, None),
        (Retries(72, on=("429",)), 0, 0),
        (Retries(72, never=("5xx",)), 0, 0),
        (Retries(None, disables="a day", disables_after_hours=24), HOUR_MS, 23 * 3600),
        (Retries(72, disables="4 hours", disables_after_hours=4), HOUR_MS, 3 * 3600),
        (Retries(2, disables="4 hours", disables_after_hours=4), HOUR_MS, 3600),
    ],
)
def test_how_long_until_the_provider_gives_up(retries: Retries, at: int, seconds: float | None) -> None:
    """The first of what is known counts: the last re-send of the first delivery, or the end of the subscription."""
    assert clock(after(retries), retries, NOW + at).seconds(NOW + at) == seconds


def test_a_number_of_failures_is_reached_at_the_pace_so_far() -> None:
    """A subscription that ends after so many failures ends when the pace of those so far brings it there."""
    retries = Retries(disables="100 failures", disables_after_failures=100)
    once = clock(after(retries), retries, NOW)
    assert (once.disables_at, once.seconds(NOW)) == (None, None)
    some = clock(after(retries, times=11, every=60_000), retries, NOW + 600_000)
    assert some.disables_at == NOW + 99 * 60_000
    assert "ends about" in some.sentence
    past = clock(after(retries, times=120, every=1_000), retries, NOW + 200_000)
    assert past.seconds(NOW + 200_000) == 0
    assert "may have ended" in past.sentence


@pytest.mark.parametrize(
    ("retries", "times", "hours", "said"),
    [
        (Retries(72), 3, 1, "refused 3 times since 2027-01-15 08:00:00Z, the last with 503 inbox_unavailable"),
        (Retries(72), 1, 1, "refused once since"),
        (Retries(72), 3, 1, "the first comes no more after 2027-01-18 08:00:00Z"),
        (Retries(72), 3, 99, "the first came no more after 2027-01-18 08:00:00Z"),
        (Retries(0), 1, 0, "it is not sent again"),
        (Retries(0), 3, 0, "3 not sent again"),
        (Retries(None), 3, 0, "how long the provider sends again is not known"),
        (Retries(None, disables="repeated failures"), 3, 0, "the subscription ends after: repeated failures"),
        (Retries(None, disables="a day", disables_after_hours=24), 1, 0, "ends about 2027-01-16 08:00:00Z: a day"),
    ],
)
def test_what_is_said(retries: Retries, times: int, hours: int, said: str) -> None:
    """The sentence says since when, what comes next and when."""
    assert said in clock(after(retries, times=times), retries, NOW + hours * HOUR_MS).sentence


def test_the_rules_are_those_of_the_catalogue() -> None:
    """Well-known providers give up when their documentation says so."""
    known = {name: providers.get(name).retries for name in ("stripe", "github", "slack", "shopify", "asana")}
    given_up = {name: clock(after(retries), retries, NOW).seconds(NOW) for name, retries in known.items()}
    assert given_up == {"stripe": 72 * 3600, "github": 0, "slack": 3600, "shopify": 4 * 3600, "asana": 24 * 3600}


class Noted:
    """Refusals of a source, in a file, at a time that the test tells."""

    def __init__(self, folder: Path, retries: Retries) -> None:
        self.now = NOW
        self.path = refusals.path_of(folder / "inbox.db")
        provider = replace(providers.get("stripe"), retries=retries)
        self.source = Source(name="shop", provider=provider, mapper=mapper(), body_limit=1)
        self.refusals = self.again()

    def again(self) -> Refusals:
        """Begin as a new process does."""
        self.refusals = Refusals(self.path, lambda: self.now)
        return self.refusals

    def answer(self, outcome: str, status: int = 503, reason: str = "inbox_unavailable") -> None:
        """Answer a request."""
        self.refusals.answered(self.source, outcome, status, reason)

    @property
    def seconds(self) -> float | None:
        """What the clock shows."""
        return self.refusals.seconds({"shop": self.source}).get("shop")


@pytest.fixture
def noted(tmp_path: Path) -> Noted:
    """Begin without refusals."""
    return Noted(tmp_path, STRIPE)


@pytest.mark.parametrize(
    ("outcome", "status", "reason", "runs"),
    [
        ("unavailable", 503, "inbox_unavailable", True),
        ("rejected", 401, "signature_mismatch", True),
        ("rejected", 413, "body_too_large", True),
        ("rejected", 503, "secret_missing", True),
        ("rejected", 401, "signature_missing", False),
        ("rejected", 404, "address_refused", False),
        ("rejected", 405, "method_not_allowed", False),
        ("handshake", 200, "", False),
        ("accepted", 200, "", False),
        ("duplicate", 200, "", False),
    ],
)
def test_what_begins_it(noted: Noted, outcome: str, status: int, reason: str, runs: bool) -> None:  # noqa: FBT001 - a column
    """What a provider may have sent and was refused begins the clock; what strangers send does not."""
    noted.answer(outcome, status, reason)
    assert (noted.seconds is not None) == runs


@pytest.mark.parametrize(("outcome", "ends"), [("accepted", True), ("duplicate", True), ("handshake", False)])
def test_what_ends_it(noted: Noted, outcome: str, ends: bool) -> None:  # noqa: FBT001 - a column
    """A delivery that is accepted ends the clock, a re-send too; a handshake says nothing of deliveries."""
    noted.answer("unavailable")
    noted.answer(outcome, 200, "")
    assert (noted.seconds is None) == ends


def test_it_begins_with_the_first_refusal(noted: Noted) -> None:
    """Later refusals do not put the clock back; a success in between does."""
    noted.answer("unavailable")
    noted.now += HOUR_MS
    noted.answer("unavailable")
    assert noted.seconds == 71 * 3600
    noted.answer("accepted", 200, "")
    noted.answer("unavailable")
    assert noted.seconds == 72 * 3600


def test_it_outlives_the_process(noted: Noted) -> None:
    """A new process goes on with the clocks of the one before, and forgets those that ended."""
    noted.answer("unavailable")
    noted.refusals.save()
    noted.now += HOUR_MS
    noted.again()
    assert noted.seconds == 71 * 3600
    noted.answer("accepted", 200, "")
    noted.refusals.save()
    noted.again()
    assert noted.seconds is None


def test_a_file_that_is_none(noted: Noted) -> None:
    """A file that cannot be read begins the clocks anew, and one that cannot be written hurts nobody."""
    for content in (b"", b"[]", b'{"shop": 1}', b'{"shop": {"since": 1}}', b"\xff"):
        noted.path.write_bytes(content)
        noted.again()
        assert noted.seconds is None
    noted.path.unlink()
    noted.path.with_name(f"{noted.path.name}.new").mkdir()
    noted.answer("unavailable")
    noted.refusals.save()
    assert noted.seconds is not None


def test_an_old_refusal_means_nothing_any_more(noted: Noted) -> None:
    """A clock ends when nothing of the source came for a week, and begins anew after that."""
    noted.answer("unavailable")
    noted.now += FORGOTTEN_MS
    assert noted.seconds == 0
    noted.now += 1
    assert noted.seconds is None
    noted.answer("unavailable")
    assert noted.seconds == 72 * 3600
