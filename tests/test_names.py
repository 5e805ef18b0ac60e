import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import event_fields, event_name
from gateway.config.values import MAX_PREFIX_LENGTH


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        (("invoice.paid",), "invoice.paid"),
        (("Issue", "create"), "Issue.create"),
        (("Order Created",), "Order Created"),
        (("  padded \n twice  ",), "padded twice"),
        (("orders/create",), "orders.create"),
        (("inngest/function.failed",), "inngest.function.failed"),
        (("user:vehicle:updated",), "user:vehicle:updated"),
        (("対象.作成",), "対象.作成"),
        (("\u00a0non\u00a0breaking",), "non breaking"),
        (("zero\u200bwidth", "nul\0", "half \ud800"), "zero_width.nul_.half _"),
        (("", "only"), "only"),
        (("x" * 100, "y" * 100), "x" * 100 + "." + "y" * 25),
        ((), "webhook.received"),
        (("", " "), "webhook.received"),
    ],
)
def test_a_name_is_made_of_any_type(parts: tuple[str, ...], name: str) -> None:
    """The sender's spelling is kept, but for what the event API refuses or takes for a prefix."""
    assert event_name(*parts) == name


@given(st.lists(st.text(st.characters(), max_size=200), max_size=3))
def test_the_event_api_takes_every_name(parts: list[str]) -> None:
    """Whatever the sender writes, the name has no prefix of its own, is printable and fits the longest prefix."""
    made = event_name(*parts)
    assert event_fields.text(made, "Event.name") == made
    prefix = "p" * MAX_PREFIX_LENGTH
    assert event_fields.name(made, prefix) == (made, f"{prefix}/{made}")
    assert event_name(made) == made
