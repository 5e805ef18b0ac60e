import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import TransformError
from gateway.model import Delivery, Skip, StampedEvent
from gateway.shadow.differences import ABSENT, differences, dotted, masked, shown
from gateway.shadow.pairs import compare
from gateway.shadow.tally import MAX_GROUPS, OTHERS, Tally
from gateway.transform import Stamped

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"a": 1}, {"a": True}, [("a", 1, True)]),
        ({"a": 1}, {"a": 1.0}, [("a", 1, 1.0)]),
        ({"a": None}, {}, [("a", None, ABSENT)]),
        ({}, {"a": {"b": 1}}, [("a", ABSENT, {"b": 1})]),
        ([{"x": 1}, 2], [{"x": 3}], [("[0].x", 1, 3), ("[1]", 2, ABSENT)]),
        ({"a.b": {"c d": "x"}}, {"a.b": {"c d": "y"}}, [('["a.b"]["c d"]', "x", "y")]),
        ({"a": []}, {"a": {}}, [("a", [], {})]),
    ],
)
def test_places(old: Any, new: Any, expected: list[tuple[str, Any, Any]]) -> None:
    """The deepest places that differ are told with both values, as JSON tells values apart."""
    found = [(dotted(one.path, indexes=True), one.old, one.new) for one in differences(old, new)]
    assert found == expected
    assert [type(value) for _, *pair in found for value in pair] == [type(v) for _, *pair in expected for v in pair]


@given(VALUES, VALUES)
def test_differences_are_those_of_json(old: Any, new: Any) -> None:
    """Two values have no difference exactly when they are the same JSON."""
    same = json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)
    found = list(differences(old, new))
    assert (not found) == (same or (old == new and repr(old) == repr(new))) or _zeros(old, new)
    for one in found:
        assert len(shown(one.old)) <= 200
        assert isinstance(masked(one.new), str)


def _zeros(old: Any, new: Any) -> bool:
    """Tell whether the texts differ in the sign of a zero, which is equal to the other."""
    return "-0.0" in repr(old) + repr(new)


def test_deep_values() -> None:
    """Values as deep as JSON may be are compared."""
    old: Any = 1
    new: Any = 2
    for _ in range(5_000):
        old, new = [old], [new]
    [found] = differences(old, new)
    assert len(found.path) == 5_000


def event(name: str, event_id: str, **data: Any) -> StampedEvent:
    """Return an event as it is sent."""
    return StampedEvent(event_id, name, json.dumps({"name": name, "id": event_id, "data": data}).encode())


def test_events_are_paired() -> None:
    """Events are compared by id, then by order; what is left is added or removed."""
    a, b, c = event("a", "1"), event("b", "2"), event("c", "3")
    assert compare([a, b], [a, b]).same
    assert compare([a, b], [b, a]).same
    assert compare([a, b], [b]).removed == (a,)
    assert compare([b], [a, b, c]).added == (a, c)
    [(after, found)] = compare([a, b], [c, b]).differing
    assert (after, {one.path for one in found}) == (c, {("name",), ("id",)})


def test_groups_are_bounded() -> None:
    """However many names and fields there are, the tally keeps a bounded number of groups and counts all."""
    tally = Tally()
    number = MAX_GROUPS + 20
    for n in range(number):
        delivery = Delivery("own", "hmac", f"d{n}", "x", 0, b"")
        old, new = ((event(f"e{n}", f"{n}", **{f"k{n}": value}),) for value in (1, 2))
        tally.add(delivery, Stamped(old), Stamped(new))
    assert len(tally.names) == len(tally.fields) == MAX_GROUPS + 1
    assert tally.names[OTHERS].old == 20
    assert sum(group.count for group in tally.fields.values()) == number


def test_another_outcome_is_a_change() -> None:
    """A delivery that is skipped where it failed before has changed, though there is no event either way."""
    tally = Tally()
    delivery = Delivery("own", "hmac", "d1", "x", 0, b"")
    tally.add(delivery, TransformError("broken"), Skip("not wanted"))
    tally.add(delivery, Skip("not wanted"), Skip("not wanted"))
    assert (tally.deliveries, tally.changed, tally.failed) == (2, 1, 0)
