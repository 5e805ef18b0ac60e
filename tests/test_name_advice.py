import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.name_advice import advise


@pytest.mark.parametrize(
    "name",
    [
        "order.created",
        "shop/order.created",
        "invoice.paid",
        "user.signed_up",
        "a.b.sent",
        "Issue.Closed",
        "order.wasShipped",
    ],
)
def test_good_names(name: str) -> None:
    """A noun and a verb in the past tense need no advice."""
    assert advise(name) == ""


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("order.create", "write order.created"),
        ("shop/order.send", "write order.sent"),
        ("order.ship", "write order.shipped"),
        ("seed.need", "write the verb in the past tense"),
        ("order.thing", "write the verb in the past tense"),
        ("ping", "write it as noun.verb"),
        ("order.", "write the verb"),
    ],
)
def test_other_names(name: str, better: str) -> None:
    """Any other name is told what would be better, and how it would read where the verb is well known."""
    assert better in advise(name)


@given(st.text())
def test_any_name(name: str) -> None:
    """Whatever the name, there is a sentence or nothing."""
    assert "\n" not in advise(name) or "\n" in name
