import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import Event, InvalidPayload, Skip, split
from gateway.errors import TransformError
from gateway.stamp import MAX_EVENTS, Stamped, stamp
from tests.mapped import RECEIVED, delivery, entry, mapper

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)
ITEMS = st.lists(st.fixed_dictionaries({}, optional={"id": VALUES, "type": VALUES, "at": VALUES}) | VALUES, max_size=6)
PLACES = {"item_id": "/id", "item_type": "/type", "item_time": "/at"}
DELIVERY = "d-1"


def parts(body: Any, **fields: Any) -> list[Event]:
    """Split a delivery with this body by the usual places."""
    places: dict[str, Any] = {**PLACES, **fields}
    made = split(delivery(json.dumps(body).encode()), **places)
    assert isinstance(made, list)
    return made


def ids(body: Any, **fields: Any) -> list[str | None]:
    """Return the ids of the events."""
    return [event.id for event in parts(body, **fields)]


def test_an_item_becomes_an_event() -> None:
    """Its id is the source's, the item's and the type; data and time are the item's own."""
    item = {"id": "e1", "type": "order.paid", "at": 1_600_000_000, "n": 1}
    made = parts({"live": True, "events": [item]}, items="/events")
    assert made == [Event("order.paid", item, "acme:e1:order.paid", 1_600_000_000_000)]


@given(st.lists(st.integers(), unique=True, min_size=1), st.data())
def test_ids_do_not_depend_on_the_batch(numbers: list[int], data: st.DataObject) -> None:
    """Items keep their ids when the sender orders them otherwise or spreads them over other deliveries."""
    items = [{"id": f"e{number}", "type": f"t{number % 3}"} for number in numbers]
    again = data.draw(st.permutations(items))
    cut = data.draw(st.integers(0, len(items)))
    others = [event.id for batch in (again[:cut], again[cut:]) if batch for event in parts(batch)]
    assert sorted(map(str, others)) == sorted(map(str, ids(items)))


@given(ITEMS)
def test_no_item_is_lost(items: list[Any]) -> None:
    """Whatever the items are, each of them is in an event that can be sent, and no two events share an id."""
    made = split(
        delivery(json.dumps({"events": items}).encode()), "/events", item_id="/id", item_type="/type", item_time="/at"
    )
    if not items:
        assert isinstance(made, Skip)
        return
    stamped = stamp(entry(), mapper(), made)
    assert isinstance(stamped, Stamped)
    sent = [json.loads(event.body)["data"] for event in stamped.events]
    assert all((item if isinstance(item, dict) else {"body": item}) in sent for item in items)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([{"id": 17, "type": "a"}], ["acme:17:a"]),
        ([{"id": True, "type": "a"}], ["acme:true:a"]),
        ([{"id": "x", "type": "a"}, {"id": "x", "type": "b"}], ["acme:x:a", "acme:x:b"]),
        ([{"id": "x", "type": "a"}, {"type": "a", "id": "x"}], ["acme:x:a"]),
        ([{"id": "x", "type": "a/b"}], ["acme:x:a.b"]),
        ([{"id": "x"}], ["acme:x:webhook.received"]),
        ([{"id": "x", "type": ["a"]}], ["acme:x:webhook.received"]),
    ],
)
def test_ids_of_good_items(items: list[Any], expected: list[str]) -> None:
    """An id is a text, a number or a truth value; equal items are one event, and types tell events apart."""
    assert ids(items) == expected


@pytest.mark.parametrize("bad", [{"n": 1}, {"id": None}, None, 7, "text", ["list"], {}])
def test_an_item_without_an_id(bad: Any) -> None:
    """Its id is the delivery's and its digest, so it is not taken for an equal item of another delivery."""
    good, fallback = ids([{"id": "e1", "type": "a"}, bad])
    assert good == "acme:e1:a"
    assert str(fallback).startswith(f"acme:{DELIVERY}.")
    assert str(fallback).endswith(":webhook.received")


@pytest.mark.parametrize("odd", [{"a": 1}, ["x"], "", "  ", "two\nlines", "x" * 201])
def test_an_odd_id_gives_way_to_its_digest(odd: Any) -> None:
    """An id that is no printable text of at most 200 characters still does not depend on the delivery."""
    alone = ids([{"id": odd, "type": "a", "n": 1}])
    assert ids([{"id": "e1"}, {"id": odd, "type": "a", "n": 1}])[1:] == alone
    assert re.fullmatch("acme:[0-9a-f]{32}:a", str(*alone))


def test_unequal_items_with_one_id() -> None:
    """Items that share an id but not their content get their digests after it, in whatever order they come."""
    one, two = {"id": "x", "type": "a", "n": 1}, {"id": "x", "type": "a", "n": 2}
    made = ids([one, two, one])
    assert len(made) == len([text for text in made if str(text).startswith("acme:x:a:")]) == 2
    assert sorted(map(str, ids([two, one]))) == sorted(map(str, made))


def test_an_id_of_several_parts() -> None:
    """The parts are joined by dots; one that is absent is left out, unless it is the first."""
    several = {"item_id": ("/id", "/n", "/m")}
    assert ids([{"id": "x", "n": 1, "m": 2}, {"id": "x", "m": 2}], **several) == [
        "acme:x.1.2:webhook.received",
        "acme:x.2:webhook.received",
    ]
    assert DELIVERY in str(ids([{"n": 1, "m": 2}], **several))


def test_an_item_can_stand_for_its_id() -> None:
    """With the empty pointer equal items are one fact, in whatever delivery and order of keys they come."""
    assert ids([{"a": 1, "b": 2}], item_id="") == ids([{"c": 1}, {"b": 2, "a": 1}], item_id="")[1:]
    assert DELIVERY not in str(ids([{"a": 1}], item_id=""))


@pytest.mark.parametrize(
    ("at", "ts"),
    [
        ("2020-09-13T12:26:40Z", 1_600_000_000_000),
        (RECEIVED + 60_000, RECEIVED),
        (1_000, 315_532_800_000),
        ("yesterday", None),
        (None, None),
    ],
)
def test_the_time_of_an_item(at: Any, ts: int | None) -> None:
    """It is never after the receipt, as a time to come would schedule the event; one that cannot be read is none."""
    assert [event.ts for event in parts([{"id": "x", "at": at}])] == [ts]


def test_the_envelope() -> None:
    """Fields beside the list go into every item that has none of that name; what is no object stays what it is."""
    body = {"bot": "b1", "noise": 1, "events": [{"id": "x"}, {"id": "y", "bot": "own"}, 7]}
    made = parts(body, items="/events", envelope=("bot", "absent"))
    assert [event.data for event in made] == [{"bot": "b1", "id": "x"}, {"id": "y", "bot": "own"}, {"body": 7}]


def test_items_are_changed_before_they_are_read() -> None:
    """`each` takes an item out of its wrapping, and the envelope is put into what it returns."""
    body = {"live": "true", "items": [{"inner": {"id": "x"}}]}
    made = parts(body, items="/items", envelope=("live",), each=lambda item: item["inner"])
    assert [(event.id, event.data) for event in made] == [("acme:x:webhook.received", {"live": "true", "id": "x"})]


def test_a_type_can_be_the_deliverys() -> None:
    """Without a place for it the type of an event is the delivery's."""
    assert [event.name for event in parts([{"id": "x"}], item_type=())] == ["order.created"]


def test_a_function_can_tell_a_value() -> None:
    """It is given the objects among the items, so that it need not expect anything else."""
    told = {name: lambda item: item["id"] for name in ("item_id", "item_type", "item_time")}
    made = parts([{"id": "1600000000"}, 7], **told)
    assert [(event.name, event.ts) for event in made] == [("1600000000", 1_600_000_000_000), ("webhook.received", None)]


@pytest.mark.parametrize(
    "body", [b'{"id": "x"}\n{"id": "y"}\n', b'{"id":"x"}\r\n\r\n{"id":"y"}', b'[{"id":"x"},{"id":"y"}]']
)
@pytest.mark.parametrize("pointer", ["", "/events"])
def test_json_lines_are_a_list(body: bytes, pointer: str) -> None:
    """A body in JSON Lines, or a list where an object was expected, holds the items."""
    made = split(delivery(body), pointer, item_id="/id")
    assert isinstance(made, list)
    assert [event.id for event in made] == ["acme:x:order.created", "acme:y:order.created"]


def test_a_body_without_the_list_is_the_only_item() -> None:
    """Nothing is lost where the list is not where it was expected, or is a single item."""
    assert ids({"id": "x", "type": "a"}, items="/events") == ["acme:x:a"]
    assert ids({"events": {"id": "x", "type": "a"}}, items="/events") == ["acme:x:a"]


@pytest.mark.parametrize("body", [b"[]", b"{}", b'{"events": []}', b'{"events": {}}'])
def test_a_delivery_without_items_is_skipped(body: bytes) -> None:
    """Heartbeats and tests of the URL make no event, and the reason says so."""
    made = split(delivery(body), "/events")
    assert made == Skip("the delivery holds no items; it is a heartbeat or a test")


@pytest.mark.parametrize("body", [b"", b"hello", b"\xff", b'{"id": 1}\n{"id":', b"a=1"])
def test_a_body_that_is_no_json(body: bytes) -> None:
    """It is refused as a whole, and so is a broken line among good ones."""
    with pytest.raises(InvalidPayload):
        split(delivery(body))


def test_too_many_items_are_a_dead_letter() -> None:
    """A delivery of more items than events may be made of says so, and is there to be run again."""
    made = split(delivery(), [{"id": number} for number in range(MAX_EVENTS + 1)], item_id="/id")
    with pytest.raises(TransformError, match=f"returned more than {MAX_EVENTS} events"):
        stamp(entry(), mapper(), made)


def test_what_is_no_pointer() -> None:
    """A text that is no pointer is refused, in whatever place of a split it stands."""
    for places in ({"items": "a.b"}, {"item_id": "a.b"}, {"item_type": "a.b"}, {"item_time": ["/a", "a.b"]}):
        with pytest.raises(ValueError, match="is not a JSON pointer"):
            split(delivery(), **places)
