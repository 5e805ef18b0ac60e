"""Stamping: what a transform returned becomes wire events, or one sentence."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import Event, Skip
from gateway.errors import TransformError
from gateway.stamp import MAX_EVENTS, Stamped, stamp
from tests.mapped import RECEIVED, entry, mapper, wire

NAN = float("nan")


class Kind(StrEnum):
    """A name from an enumeration."""

    CREATED = "created"


class Text(str):
    """A text of the user's own kind."""

    __slots__ = ()


class Nowhere(tzinfo):
    """A time zone that fails."""

    def utcoffset(self, _: datetime | None) -> timedelta:
        """Fail."""
        raise LookupError("no such zone")

    dst = utcoffset

    def tzname(self, _: datetime | None) -> str:
        """Return the name of no zone."""
        return "nowhere"


def made(**fields: Any) -> Any:
    """Make an event, of any field types."""
    return Event(**{"name": "created", "data": {}, **fields})


def nested(depth: int) -> Any:
    """Make lists inside each other."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def cycle() -> dict[str, Any]:
    """Make a dict that holds itself."""
    data: dict[str, Any] = {}
    data["again"] = [data]
    return data


def fault(outcome: object, **fields: Any) -> str:
    """Return the sentence with which an outcome is refused."""
    with pytest.raises(TransformError) as caught:
        stamp(entry(), mapper(**fields), outcome)
    return str(caught.value)


def test_wire_event() -> None:
    """The fields come in the order name, data, id, ts, v, with what the transform left out filled in."""
    outcome = Event(name="order.created", data={"z": 1, "a": [None, "ä"]})
    stamped = stamp(entry(version="2026-01", time=RECEIVED - 5), mapper(), outcome)
    assert isinstance(stamped, Stamped)
    [event] = stamped.events
    assert event.body.decode() == (
        '{"name":"acme/order.created","data":{"z":1,"a":[null,"ä"]},'
        '"id":"acme:d-1:order.created","ts":1699999999995,"v":"2026-01"}'
    )
    assert (event.id, event.name) == ("acme:d-1:order.created", "acme/order.created")
    assert list(wire(stamp(entry(), mapper(), outcome))[0]) == ["name", "data", "id", "ts"]


@pytest.mark.parametrize(
    "outcome", [None, [], (), iter([]), set(), range(0)], ids=lambda outcome: type(outcome).__name__
)
def test_nothing(outcome: object) -> None:
    """None and an empty iterable forward nothing, for a reason."""
    assert stamp(entry(), mapper(), outcome) == Skip("the transform returned no event")


@pytest.mark.parametrize(
    ("given_reason", "kept"),
    [
        ("not a pull request", "not a pull request"),
        ("", "the transform gave no reason"),
        (" a\n b\ud800\x00", r"a b\ud800\x00"),
        ("x" * 999, "x" * 299 + "…"),
    ],
)
def test_skip(given_reason: str, kept: str) -> None:
    """The reason of a Skip is kept as one printable line."""
    assert stamp(entry(), mapper(), Skip(given_reason)) == Skip(kept)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("order.created", "acme/order.created"),
        ("beta/order.created", "beta/order.created"),
        ("v2.core.account[configuration.merchant].updated", "acme/v2.core.account[configuration.merchant].updated"),
        (Kind.CREATED, "acme/created"),
        (Text("created"), "acme/created"),
        ("überweisung erhalten", "acme/überweisung erhalten"),
        ("inngest.x", "acme/inngest.x"),
        ("x" * 250, "acme/" + "x" * 250),
    ],
)
def test_names(name: str, expected: str) -> None:
    """A name gets the source's prefix unless it holds a slash."""
    assert wire(stamp(entry(), mapper(), made(name=name)))[0]["name"] == expected


def test_ids_of_several_events() -> None:
    """The second and third event of a name are numbered; the name counts as the transform gave it."""
    names = ["a", "b", "a", "other/a", "a"]
    events = wire(stamp(entry(), mapper(), (made(name=name) for name in names)))
    assert [event["id"][len("acme:d-1:") :] for event in events] == ["a", "b", "a:2", "other/a", "a:3"]


def test_ids_of_a_rerun() -> None:
    """A rerun makes new ids, also of those the transform sets; a first run keeps those as given."""
    outcome = [made(), made(), made(id="own")]
    for generation, ids in (
        (0, ["acme:d-1:created", "acme:d-1:created:2", "own"]),
        (2, ["acme:d-1:created.r2", "acme:d-1:created:2.r2", "own.r2"]),
    ):
        assert [event["id"] for event in wire(stamp(entry(generation), mapper(), outcome))] == ids


@pytest.mark.parametrize(
    ("ts", "expected"),
    [
        (RECEIVED + 10**9, RECEIVED + 10**9),
        (315_532_800_000, 315_532_800_000),
        (4_102_444_800_000, 4_102_444_800_000),
        (datetime(2026, 3, 1, 12, tzinfo=UTC), 1_772_366_400_000),
        (datetime(2026, 3, 1, 14, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2))), 1_772_366_400_999),
    ],
)
def test_own_ts(ts: int | datetime, expected: int) -> None:
    """A ts set by the transform is kept, future or not."""
    assert wire(stamp(entry(time=5), mapper(), made(ts=ts)))[0]["ts"] == expected


@pytest.mark.parametrize(
    ("time", "received_at", "expected"),
    [
        (None, RECEIVED, RECEIVED),
        (RECEIVED - 1, RECEIVED, RECEIVED - 1),
        (RECEIVED + 60_000, RECEIVED, RECEIVED),
        (0, RECEIVED, 315_532_800_000),
        (None, 10**15, 4_102_444_800_000),
    ],
)
def test_ts_of_the_delivery(time: int | None, received_at: int, expected: int) -> None:
    """Without one the ts is the provider's time, else the time of receipt, and never after that."""
    assert wire(stamp(entry(time=time, received_at=received_at), mapper(), made()))[0]["ts"] == expected


def test_version() -> None:
    """The transform's v goes before the delivery's."""
    assert wire(stamp(entry(version="1"), mapper(), made(v="2")))[0]["v"] == "2"


def test_metadata() -> None:
    """With metadata the data tells where it came from, and the transform's own dict is left as it was."""
    data = {"n": 1, "_gateway": "forged"}
    [event] = wire(stamp(entry(traceparent="00-1-2-01"), mapper(metadata=True), made(data=data)))
    origin = {"source": "acme", "delivery_id": "d-1", "received_at": RECEIVED, "traceparent": "00-1-2-01"}
    assert event["data"] == {"n": 1, "_gateway": origin}
    assert data == {"n": 1, "_gateway": "forged"}


def test_big_integers() -> None:
    """Integers beyond ±2^53 are counted when sent as numbers, and are text when asked to be; smaller ones are as is."""
    data = {"at": [2**53, {"over": 2**53 + 1, "huge": -(10**30)}], "text": "12345678901234567890", "flag": True}
    stamped = stamp(entry(), mapper(), [made(data=data), made(data=data)])
    assert isinstance(stamped, Stamped)
    assert stamped.big_integers == 4
    assert wire(stamped)[0]["data"] == data
    as_text = stamp(entry(), mapper(big_integers="string"), made(data=data))
    assert isinstance(as_text, Stamped)
    assert as_text.big_integers == 0
    [event], [number, _] = wire(as_text), wire(stamped)
    assert event["data"]["at"] == [2**53, {"over": "9007199254740993", "huge": "-1" + "0" * 30}]
    assert {**event, "data": data} == number


def test_values_that_json_can_hold() -> None:
    """Tuples, enumerations and UUIDs are taken; nesting to the serialiser's limit too."""
    data = {"tuple": (1, 2), "kind": Kind.CREATED, "uuid": uuid.UUID(int=1), "none": None, "deep": nested(252)}
    [event] = wire(stamp(entry(), mapper(), made(data=data)))
    assert event["data"] == {**data, "tuple": [1, 2], "kind": "created", "uuid": str(uuid.UUID(int=1))}


ONE = "acme:transform returned an event that cannot be sent: "
EXPECTED = "a transform returns None, Skip(reason), an Event or an iterable of Events"
MILLISECONDS = "it must be unix milliseconds as an int, or a datetime with a time zone"


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        ({"name": "x"}, f"acme:transform returned a value of type dict; {EXPECTED}"),
        ("created", f"acme:transform returned a value of type str; {EXPECTED}"),
        (b"created", f"acme:transform returned a value of type bytes; {EXPECTED}"),
        (7, f"acme:transform returned a value of type int; {EXPECTED}"),
        (Event, f"acme:transform returned a value of type type; {EXPECTED}"),
        ([None], f"{ONE}it is of type NoneType; {EXPECTED}"),
        ([made(), Skip("x")], "returned 2 events of which number 2 cannot be sent: it is of type Skip;"),
        (Skip(3), "acme:transform returned a Skip whose reason is of type int, not str"),  # type: ignore[arg-type]
        ((made(name=f"n{n}") for n in range(MAX_EVENTS + 1)), "returned more than 10000 events for one delivery"),
        (made(name=None), f"{ONE}Event.name is of type NoneType, not str"),
        (made(name=" "), f"{ONE}Event.name is empty"),
        (made(name="a\nb"), f"{ONE}Event.name holds characters that cannot be printed, such as control characters"),
        (made(name="a\ud800"), f"{ONE}Event.name holds characters that cannot be printed"),
        (made(name="Inngest/x"), f"{ONE}Event.name is 'Inngest/x', and inngest/ is reserved by the event API"),
        (made(name="x" * 251), f"{ONE}Event.name has 256 characters with its prefix, and 255 are allowed"),
        (made(name="a/" + "x" * 999_999), f"{ONE}Event.name has 1000001 characters"),
        (made(id=""), f"{ONE}Event.id is empty"),
        (made(id=7), f"{ONE}Event.id is of type int, not str"),
        (made(id="a\x00"), f"{ONE}Event.id holds characters that cannot be printed"),
        (
            [made(id="x"), made(name="b", id="x")],
            "returned two events with the id 'x', of which the event API keeps one",
        ),
        ([made(name=n) for n in ("a", "a", "a:2")], "returned two events with the id 'acme:d-1:a:2'"),
        (made(data=[1]), f'{ONE}Event.data is of type list, not dict; wrap it, as in {{"body": ...}}'),
        (made(data=None), f"{ONE}Event.data is of type NoneType, not dict"),
        (made(ts=True), f"{ONE}Event.ts is of type bool; {MILLISECONDS}"),
        (made(ts=1.7e12), f"{ONE}Event.ts is of type float; {MILLISECONDS}"),
        (made(ts="2026-01-01"), f"{ONE}Event.ts is of type str; {MILLISECONDS}"),
        (made(ts=1_700_000_000), f"{ONE}Event.ts looks like seconds; {MILLISECONDS}"),
        (made(ts=RECEIVED * 1000), f"{ONE}Event.ts looks like microseconds or nanoseconds; {MILLISECONDS}"),
        (made(ts=RECEIVED * 10**6), f"{ONE}Event.ts looks like microseconds or nanoseconds; {MILLISECONDS}"),
        (made(ts=315_532_799_999), f"{ONE}Event.ts is outside the years 1980 to 2100; {MILLISECONDS}"),
        (made(ts=4_102_444_800_001), f"{ONE}Event.ts is outside the years 1980 to 2100; {MILLISECONDS}"),
        (made(ts=-1), f"{ONE}Event.ts is outside the years 1980 to 2100; {MILLISECONDS}"),
        (made(ts=datetime(2150, 1, 1, tzinfo=UTC)), f"{ONE}Event.ts is outside the years 1980 to 2100"),
        (made(ts=datetime(2026, 1, 1)), f"{ONE}Event.ts is a datetime without a time zone"),  # noqa: DTZ001 - the case
        (made(ts=datetime(2026, 1, 1, tzinfo=Nowhere())), "acme:transform raised LookupError: no such zone"),
        (made(v=1), f"{ONE}Event.v is of type int, not str"),
        (made(data={"items": [0, 1, 2, {"when": datetime(2026, 1, 1, tzinfo=UTC)}]}), "data.items[3].when is of type"),
        (made(data={"a b": {"c": Decimal(1)}}), f"{ONE}data['a b'].c is of type Decimal; JSON cannot hold that"),
        (made(data={"ok": 1, 2: 3}), f"{ONE}data has a key of type int; JSON cannot hold that"),
        (made(data={"a": [{Kind.CREATED: 3}]}), f"{ONE}data.a[0] has a key of type Kind; JSON cannot hold that"),
        (made(data={"a": {1, 2}}), f"{ONE}data.a is of type set; JSON cannot hold that"),
        (made(data={"a": b"x"}), f"{ONE}data.a is of type bytes; JSON cannot hold that"),
        (made(data={"a": Text("x")}), f"{ONE}data.a is of type Text; JSON cannot hold that"),
        (made(data={"a": [1.5, NAN]}), f"{ONE}data.a[1] is NaN or infinite; JSON cannot hold that"),
        (made(data={"a": (None, float("-inf"))}), f"{ONE}data.a[1] is NaN or infinite; JSON cannot hold that"),
        (made(data={"a": NAN, "b": 2**70}), f"{ONE}data.a is NaN or infinite; JSON cannot hold that"),
        (made(data={"a": "x\ud800"}), f"{ONE}data.a holds half of a surrogate pair, which UTF-8 cannot hold"),
        (made(data={"a": {"\udc00": 1}}), f"{ONE}data.a has a key with half of a surrogate pair"),
        (made(data={"a": "\ud800", "b": 2**70}), f"{ONE}data.a holds half of a surrogate pair"),
        (made(data=cycle()), f"{ONE}data holds itself or nests deeper than 253 levels; JSON cannot hold that"),
        (made(data={"deep": nested(253)}), f"{ONE}data holds itself or nests deeper than 253 levels"),
        (made(data={"x" * 500: object()}), "x… is of type object; JSON cannot hold that"),
        (made(data={"a": 10**5000}), f"{ONE}an event that cannot be serialised ("),
    ],
    ids=lambda value: value[-40:] if isinstance(value, str) else "",
)
def test_faults(outcome: object, sentence: str) -> None:
    """What cannot be sent is named: the function, the field or the path in the data, and the type of the value."""
    said = fault(outcome)
    assert said.startswith("acme:transform ")
    assert sentence in said
    assert len(said) <= 300


async def test_coroutines_are_refused_and_closed() -> None:
    """A sync transform that returns a coroutine is told to be async, and leaves no warning behind."""

    async def work() -> None:
        """Do nothing."""

    assert fault(work()) == "acme:transform returned a coroutine; declare the transform itself with `async def`"


def test_generators_that_raise() -> None:
    """An exception in the middle of a generator is told, and the events before it are not sent."""

    def work() -> Iterator[Event]:
        yield made()
        raise RuntimeError("no more\nof it")

    reference = f"{__name__.partition('.')[0]}:work"
    said = fault(work(), reference=reference)
    assert said.startswith(f"{reference} raised RuntimeError: no more of it ({__file__}:")


def test_faults_do_not_keep_the_payload() -> None:
    """A sentence carries no exception with it, whose frames would hold the payload."""
    with pytest.raises(TransformError) as caught:
        stamp(entry(), mapper(), made(data={"secret": object()}))
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


ODD_TEXT = st.text(st.characters(exclude_categories=()), max_size=10)
SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    ODD_TEXT,
    st.binary(max_size=5),
    st.datetimes(timezones=st.none() | st.timezones()),
    st.decimals(),
    st.uuids(),
    st.sampled_from([object(), Kind.CREATED, Event, len, NotImplemented, ...]),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(ODD_TEXT | st.integers(), inner, max_size=3),
        st.tuples(inner),
        st.builds(Skip, inner),
        st.builds(Event, inner | st.just("n"), inner | st.just({}), inner, inner, inner),
    ),
    max_leaves=8,
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@given(VALUES, st.sampled_from(["number", "string"]), st.booleans())
def test_arbitrary_outcomes(outcome: object, big_integers: str, metadata: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever a transform returns, the answer is wire events that are JSON, a Skip, or a TransformError."""
    chosen = mapper(big_integers=big_integers, metadata=metadata)
    result: object
    try:
        result = stamp(entry(), chosen, outcome)
    except TransformError as error:
        result = str(error)
    if isinstance(result, str):
        assert result.isprintable()
        assert len(result) <= 300
    elif isinstance(result, Stamped):
        for event in wire(result):
            assert list(event)[:4] == ["name", "data", "id", "ts"]
            assert isinstance(event["data"], dict)


@given(st.lists(st.builds(made, name=st.sampled_from("abc"), data=st.fixed_dictionaries({"j": JSON})), max_size=6))
def test_stamping_is_pure(events: list[Event]) -> None:
    """The same entry gives the same bytes again, with ids that differ from each other and data that is unchanged."""
    first = stamp(entry(), mapper(), events)
    assert stamp(replace(entry(), attempts=3, due_at=9), mapper(), iter(events)) == first
    sent = [] if isinstance(first, Skip) else wire(first)
    assert [event["data"] for event in sent] == [event.data for event in events]
    assert len({event["id"] for event in sent}) == len(events)


@pytest.mark.parametrize("make", [lambda: [made()], lambda: iter([made()]), lambda: (made() for _ in range(1))])
def test_iterables(make: Callable[[], object]) -> None:
    """Any iterable of events will do."""
    assert json.loads(json.dumps(wire(stamp(entry(), mapper(), make())))) == wire(stamp(entry(), mapper(), made()))
