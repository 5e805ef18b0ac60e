"""What the local event API keeps of the events it accepts."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.dev.event_api import LocalEventApi
from gateway.dev.event_api_rules import MAX_EVENT_BYTES, MAX_EVENTS, InboundEvent, RefusedError, read_events
from tests.dev.conftest import NOW, Post

VALUES: list[tuple[bytes, Any]] = [
    (b'{"n":9007199254740993}', {"n": 9007199254740992}),
    (b'{"n":90071992547409931}', {"n": 90071992547409940}),
    (b'{"n":1e21,"m":1.5,"k":2.0,"e":1E3}', {"n": 1e21, "m": 1.5, "k": 2, "e": 1000}),
    (b'{"s":"\\ud800x\\ud83d\\ude00"}', {"s": "\ufffdx\U0001f600"}),
    (b'{"s":"\xff\xed\xa0\x80\xc3\xa9"}', {"s": "\ufffd\ufffd\ufffd\ufffd\xe9"}),
    (b'{"\\udc00":1}', {"\ufffd": 1}),
    (b'{"s":"\\u0000\\ud83d"}', {"s": "\0\ufffd"}),
    (b'{"a":1,"a":2}', {"a": 2}),
    (b'{"_inngest":{"x":1},"a":{"_inngest":1}}', {"a": {"_inngest": 1}}),
    (b"null", None),
    (b'{"a":1},"DATA":{"b":2}', {"a": 1, "b": 2}),
    (b'{"a":1},"data":null', None),
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(("data", "kept"), VALUES)
async def test_data_is_kept_as_go_decodes_it(api: LocalEventApi, post: Post, data: bytes, kept: Any) -> None:
    """Numbers become float64, what is not UTF-8 becomes U+FFFD, repeated objects merge and _inngest goes."""
    body = b'{"name":"a","data":' + data + b"}"
    await post(body)
    (event,) = api.events
    assert event.data == kept
    assert event.raw == body


async def test_an_event_is_kept_with_all_its_fields(api: LocalEventApi, post: Post) -> None:
    """The sender's id, time and version are kept, and the raw bytes of each element of an array."""
    element = b'{ "id":"x:1", "name":"a/b", "ts":1700000000000, "v":"2", "data":{} }'
    await post(b"[ " + element + b' ,\n{"name":"c"}]')
    first, second = api.events
    assert (first.id, first.name, first.ts, first.v, first.raw) == ("x:1", "a/b", 1_700_000_000_000, "2", element)
    assert (second.id, second.ts, second.v, second.data) == (second.internal_id, NOW, "", None)
    assert (first.request, first.received_at) == (1, NOW)


async def test_null_changes_no_text_field(api: LocalEventApi, post: Post) -> None:
    """A later null leaves name, id, ts and v as they were."""
    await post(b'{"name":"a","id":"i","ts":1700000000000,"v":"1","name":null,"id":null,"ts":null,"v":null}')
    (event,) = api.events
    assert (event.name, event.id, event.ts, event.v) == ("a", "i", 1_700_000_000_000, "1")


@pytest.mark.parametrize("spare", [0, 1])
@pytest.mark.parametrize("wrapped", [b"%b", b" [%b]", b'[{"name":"a"}, %b ]'])
async def test_an_event_may_have_three_mebibytes(api: LocalEventApi, post: Post, wrapped: bytes, spare: int) -> None:
    """An event of the limit is taken and one byte more is refused with 400; in an array white space does not count."""
    frame = b'{"name":"big","data":{"x":"%b"}}'
    body = wrapped % (frame % (b"x" * (MAX_EVENT_BYTES - len(frame) + 2 + spare)))
    answer = json.loads((await post(body)).body)
    expected = {"error": "Event is over the max size: Max 3145728 bytes / Size 3145729 bytes"} if spare else {}
    assert {key: value for key, value in answer.items() if key == "error"} == expected
    assert [event.name for event in api.events if event.name == "big"] == ["big"] * (1 - spare)


async def test_what_follows_a_lone_object_counts_towards_its_size(post: Post) -> None:
    """White space after an object is part of its size, before it is not."""
    frame = b'{"name":"a","data":{"x":"%b"}}'
    full = frame % (b"x" * (MAX_EVENT_BYTES - len(frame) + 2))
    assert (await post(b" " + full)).status == 200
    assert (await post(full + b" ")).status == 400


@pytest.mark.parametrize(("count", "status"), [(MAX_EVENTS, 200), (MAX_EVENTS + 1, 400)])
async def test_a_request_may_have_five_thousand_events(api: LocalEventApi, post: Post, count: int, status: int) -> None:
    """One more is answered 400 with 5,000 ids, and those are accepted."""
    answered = await post(b"[" + b",".join([b'{"name":"a"}'] * count) + b"]")
    answer = json.loads(answered.body)
    assert answered.status == status
    assert len(answer["ids"]) == len(set(answer["ids"])) == MAX_EVENTS == len(api.events)
    assert answer.get("error") == (None if status == 200 else "Cannot have more than 5000 events in a batch")


@pytest.mark.parametrize(
    ("key", "value", "error"),
    [
        (128, 512, None),
        (129, 1, f'event session key "{"k" * 129}" exceeds 128 bytes'),
        (1, 513, 'event session "k" exceeds 512 bytes'),
    ],
)
async def test_sessions_are_bounded(post: Post, key: int, value: int, error: str | None) -> None:
    """Keys and values of meta.sessions have a longest length in bytes."""
    event = {"name": "a", "meta": {"sessions": {"k" * key: "v" * value}}}
    assert json.loads((await post(json.dumps(event).encode())).body).get("error") == error


@given(st.lists(st.dictionaries(st.text(), JSON, max_size=4), max_size=5), st.integers(0, 4))
def test_any_json_object_is_kept_as_data(values: list[dict[str, Any]], indent: int) -> None:
    """Whatever JSON a sender serialises, and however it is indented, arrives equal to it in float64."""
    body = json.dumps([{"name": "a", "data": value} for value in values], indent=indent).encode()
    kept = [event.data for event in read_events(body, "application/json", NOW)]
    expected = [{key: value for key, value in value.items() if key != "_inngest"} for value in values]
    assert json.loads(json.dumps(kept), parse_int=float) == json.loads(
        json.dumps(expected, ensure_ascii=False), parse_int=float
    )


@given(st.binary(max_size=60) | st.text('{}[]:,"\\ntrue0123.eE- name', max_size=40).map(str.encode))
def test_any_bytes_are_accepted_or_refused_with_a_sentence(body: bytes) -> None:
    """No body leads to anything but events and at most one refusal."""
    events: list[InboundEvent] = []
    refusal = ""
    try:
        events.extend(read_events(body, "application/json", NOW))
    except RefusedError as error:
        refusal = str(error) or "no sentence"
    assert refusal != "no sentence"
    assert all(event.name and event.raw in body for event in events)


@pytest.mark.parametrize("depth", [2_000, 20_000])
async def test_deep_nesting_is_refused_and_not_a_crash(post: Post, depth: int) -> None:
    """A payload nested beyond what can be read is answered 400."""
    answered = await post(b'{"name":"a","data":{"x":' + b"[" * depth + b"]" * depth + b"}}")
    assert (answered.status, json.loads(answered.body)["error"]) == (400, "exceeded max depth")
