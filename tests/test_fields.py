"""Reading, keeping and masking the fields of a payload, and reading a provider's time."""

from __future__ import annotations

import copy
import math
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import get, mask, pick, to_ts

ORDER: dict[str, Any] = {
    "id": "o-1",
    "note": None,
    "customer": {"email": "a@example.com", "name": "A", "a.b": 1},
    "items": [{"price": 1, "email": "b@example.com"}, {"price": 2}, "x"],
}
NAMES = st.text("abc.0/~", max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=15,
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=5)
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join).map("/".__add__) | st.text("ab.0/~", max_size=8)


def places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the path of everything below a value."""
    children = list(value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ())
    below = [(*path, str(key)) for key, _ in children]
    found = [deeper for step, (_, child) in zip(below, children, strict=True) for deeper in places(child, step)]
    return [*below, *found]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("id", "o-1"),
        ("customer.email", "a@example.com"),
        ("items.1.price", 2),
        ("items.2", "x"),
        ("/customer/a.b", 1),
        ("/items/0/price", 1),
        ("note", "none"),
        ("nothing", "none"),
        ("items.3.price", "none"),
        ("items.-1", "none"),
        ("items.²", "none"),
        ("items.price", "none"),
        ("id.0", "none"),
        ("/", "none"),
    ],
)
def test_get(path: Any, expected: Any) -> None:
    """A path leads to its value, and to the default where nothing or null is."""
    assert get(ORDER, path, "none") == expected


@given(OBJECTS)
def test_everything_can_be_got(payload: dict[str, Any]) -> None:
    """Whatever is in a payload can be got by the names that lead to it."""
    for path in places(payload):
        value: Any = payload
        for step in path:
            value = value[int(step)] if isinstance(value, list) else value[step]
        pointer = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in path)
        assert get(payload, pointer) == value
        assert any("." in step or "/" in step or not step for step in path) or get(payload, ".".join(path)) == value


@given(JSON, PATHS)
def test_getting_never_fails(payload: Any, path: str) -> None:
    """No payload and no path make a reading raise."""
    get(payload, path)


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ([], {}),
        (["id", "nothing"], {"id": "o-1"}),
        (["note"], {"note": None}),
        (["customer.name", "customer.nothing", "id"], {"customer": {"name": "A"}, "id": "o-1"}),
        (["items.price"], {"items": [{"price": 1}, {"price": 2}]}),
        (["id.inner", "customer.nothing"], {"customer": {}}),
        (["/customer/a.b"], {"customer": {"a.b": 1}}),
    ],
)
def test_pick(paths: list[Any], expected: Any) -> None:
    """The named fields are kept in their places, in every item of a list, and nothing else is."""
    assert pick(ORDER, *paths) == expected


@given(OBJECTS, st.lists(PATHS, max_size=4))
def test_picking_twice_is_picking_once(payload: dict[str, Any], paths: list[str]) -> None:
    """What was picked holds all that the same paths would pick of it, and no more."""
    picked = pick(payload, *paths)
    assert pick(picked, *paths) == picked
    assert picked.keys() <= payload.keys()


@pytest.mark.parametrize(
    ("paths", "changed"),
    [
        (["customer.email"], [("customer", "email")]),
        (["email"], [("customer", "email"), ("items", "0", "email")]),
        (["items.price"], [("items", "0", "price"), ("items", "1", "price")]),
        (["items.1.price"], [("items", "1", "price")]),
        (["items"], [("items",)]),
        (["/items", "items.2"], [("items",)]),
        (["items.2"], [("items", "2")]),
        (["note", "nothing", "id.0", "items.7"], []),
        (["/customer/a.b", "a.b", "/email"], [("customer", "a.b")]),
    ],
)
def test_mask(paths: list[Any], changed: list[tuple[str, ...]]) -> None:
    """Names are masked wherever they stand, paths from the top; what is absent or null stays so."""
    expected = copy.deepcopy(ORDER)
    for path in changed:
        holder = get(expected, "".join(f"/{step}" for step in path[:-1]))
        holder[int(path[-1]) if isinstance(holder, list) else path[-1]] = "***"
    given_order = copy.deepcopy(ORDER)
    assert mask(given_order, *paths) == expected
    assert given_order == ORDER


@given(OBJECTS, st.lists(PATHS, max_size=4))
def test_what_is_masked_is_gone(payload: dict[str, Any], paths: list[Any]) -> None:
    """No masked path leads to what was there, the shape stays, and what was given is not changed."""
    before = copy.deepcopy(payload)
    masked = mask(payload, *paths, replacement=math.inf)
    assert payload == before
    assert masked.keys() == payload.keys()
    assert all(get(masked, path, math.inf) == math.inf for path in paths if path)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2026-01-02T03:04:05Z", 1_767_323_045_000),
        ("2026-01-02T03:04:05", 1_767_323_045_000),
        ("2026-01-02T05:04:05.129+02:00", 1_767_323_045_129),
        (1_700_000_000, 1_700_000_000_000),
        ("1700000000.1234", 1_700_000_000_123),
        (1_700_000_000.129, 1_700_000_000_129),
        (1_700_000_000_123, 1_700_000_000_123),
        (1_700_000_000_123_456_789, 1_700_000_000_123),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1))), 1_767_319_445_000),
    ],
)
def test_to_ts(value: Any, expected: int) -> None:
    """Every form in which providers tell times is read."""
    assert to_ts(value) == expected


@given(st.integers(10**11, 4_102_444_800_000))
def test_every_millisecond_is_kept(moment: int) -> None:
    """A time with milliseconds is read to the millisecond, as text, float or ISO 8601."""
    seconds, rest = divmod(moment, 1000)
    told = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)
    assert [to_ts(f"{seconds}.{rest:03d}"), to_ts(moment / 1000), to_ts(told.isoformat()), to_ts(told)] == [moment] * 4


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "null, or a field that is not there, tells no time; give a number or text such as 1700000000"),
        (True, "a value of type bool tells no time"),
        ({}, "a value of type dict tells no time"),
        ("", "empty text tells no time"),
        ("secret", "text of 6 characters tells no time"),
        (-1, "a number that is negative tells no time"),
        (math.nan, "a number out of range tells no time"),
        (b"1", "a value of type bytes tells no time"),
    ],
)
def test_what_is_no_time(value: Any, told: str) -> None:
    """What tells no time is refused with a sentence that does not hold it."""
    with pytest.raises(ValueError, match=told):
        to_ts(value)
