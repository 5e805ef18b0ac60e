"""The answers of Go's encoding/json and of the event API's own checks, as a table of bodies."""

import json

import pytest

from gateway.dev.event_api import LocalEventApi
from tests.dev.conftest import Post

SHAPES = [
    (b'{"name":"a"}', 1, ""),
    (b' \r\n\t{"name":"a"} \n', 1, ""),
    (b'[{"name":"a"},{"name":"b"}]', 2, ""),
    (b"[]", 0, ""),
    (b" [ ] ", 0, ""),
    (b"", 0, ""),
    (b" \n ", 0, ""),
    (b"null", 0, "Request body must contain an event object or an array of event objects"),
    (b"true", 0, "Request body must contain an event object or an array of event objects"),
    (b"12", 0, "Request body must contain an event object or an array of event objects"),
    (b'"a"', 0, "Request body must contain an event object or an array of event objects"),
    (b"name=a", 0, "Request body must contain an event object or an array of event objects"),
    (b'\xef\xbb\xbf{"name":"a"}', 0, "Request body must contain an event object or an array of event objects"),
    (b"\x1f\x8b\x08\x00", 0, "Request body must contain an event object or an array of event objects"),
    (b"]", 0, "Request body must contain an event object or an array of event objects"),
    (b"}", 0, "Request body must contain an event object or an array of event objects"),
    (b'{"name":"a"', 0, "unexpected end of JSON input"),
    (b'{"name":"a","data":{"b":', 0, "unexpected end of JSON input"),
    (b'{"name":"a","data":{"b":tr', 0, "invalid character ' ' in literal true (expecting 'u')"),
    (b'{"name":"a","data":{"b":-', 0, "invalid character ' ' in numeric literal"),
    (b'{"name":"a","data":{"b":"\\u00', 0, "invalid character ' ' in \\u hexadecimal character escape"),
    (b'{"name":"a","data":"b', 0, "unexpected end of JSON input"),
    (b'[{"name":"a"}', 1, ""),
    (b'[{"name":"a"} ', 1, ""),
    (b'[{"name":"a"}}', 1, ""),
    (b'[{"name":"a"},', 1, "EOF"),
    (b'[{"name":"a"},{"na', 1, "unexpected EOF"),
    (b'[{"name":"a"},{"name":"b",', 1, "unexpected EOF"),
    (b'{"name":"a"}{"name":"b"}', 0, "invalid character '{' after top-level value"),
    (b'{"name":"a"}\n{"name":"b"}\n', 0, "invalid character '{' after top-level value"),
    (b'{"name":"a"},', 0, "invalid character ',' after top-level value"),
    (b'[{"name":"a"}]trailing', 1, ""),
    (b'[{"name":"a"}][{"name":"b"}]', 1, ""),
    (b'[{"name":"a"},]', 1, "invalid character ']' looking for beginning of value"),
    (b'[,{"name":"a"}]', 0, "invalid character ',' looking for beginning of value"),
    (b'[{"name":"a"} {"name":"b"}]', 1, "expected comma after array element"),
    (b'[{"name":"a"},null]', 1, "event name is empty"),
    (b'[{"name":"a"},[]]', 1, "json: cannot unmarshal array into Go value of type event.Event"),
    (b'[{"name":"a"},"b"]', 1, "json: cannot unmarshal string into Go value of type event.Event"),
    (b'[{"name":"a"},1]', 1, "json: cannot unmarshal number into Go value of type event.Event"),
    (b'[{"name":"a"},true]', 1, "json: cannot unmarshal bool into Go value of type event.Event"),
    (b'[{"name":"a"},{},{"name":"c"}]', 1, "event name is empty"),
]
SYNTAX = [
    (b"{,}", 0, "invalid character ',' looking for beginning of object key string"),
    (b'{"a":1,}', 0, "invalid character '}' looking for beginning of object key string"),
    (b"{a:1}", 0, "invalid character 'a' looking for beginning of object key string"),
    (b"{'a':1}", 0, "invalid character '\\'' looking for beginning of object key string"),
    (b'{"a" 1}', 0, "invalid character '1' after object key"),
    (b'{"a":}', 0, "invalid character '}' looking for beginning of value"),
    (b'{"a":1 "b":2}', 0, "invalid character '\"' after object key:value pair"),
    (b'{"a":[1 2]}', 0, "invalid character '2' after array element"),
    (b'{"a":[1,]}', 0, "invalid character ']' looking for beginning of value"),
    (b'{"a":1]', 0, "invalid character ']' after object key:value pair"),
    (b'{"a":01}', 0, "invalid character '1' after object key:value pair"),
    (b'{"a":+1}', 0, "invalid character '+' looking for beginning of value"),
    (b'{"a":.5}', 0, "invalid character '.' looking for beginning of value"),
    (b'{"a":1.}', 0, "invalid character '}' after decimal point in numeric literal"),
    (b'{"a":1e}', 0, "invalid character '}' in exponent of numeric literal"),
    (b'{"a":1e+}', 0, "invalid character '}' in exponent of numeric literal"),
    (b'{"a":-}', 0, "invalid character '}' in numeric literal"),
    (b'{"a":NaN}', 0, "invalid character 'N' looking for beginning of value"),
    (b'{"a":Infinity}', 0, "invalid character 'I' looking for beginning of value"),
    (b'{"a":-Infinity}', 0, "invalid character 'I' in numeric literal"),
    (b'{"a":nul}', 0, "invalid character '}' in literal null (expecting 'l')"),
    (b'{"a":True}', 0, "invalid character 'T' looking for beginning of value"),
    (b'{"a":"\n"}', 0, "invalid character '\\n' in string literal"),
    (b'{"a":"\x00"}', 0, "invalid character '\\x00' in string literal"),
    (b'{"a":"\\x"}', 0, "invalid character 'x' in string escape code"),
    (b'{"a":"\\u12g4"}', 0, "invalid character 'g' in \\u hexadecimal character escape"),
    (b'{"a":\xff}', 0, "invalid character 'ÿ' looking for beginning of value"),
    (b'{"a":\xc2\xa0}', 0, "invalid character 'Â' looking for beginning of value"),
    (b'{"a":\xe2\x82\xac}', 0, "invalid character 'â' looking for beginning of value"),
    (b'{"a":\\}', 0, "invalid character '\\\\' looking for beginning of value"),
    (b'[{"a":tru}]', 0, "invalid character '}' in literal true (expecting 'e')"),
    (b'[{"a":\x7f}]', 0, "invalid character '\\x7f' looking for beginning of value"),
]
FIELDS = [
    (b'{"data":{}}', 0, "event name is empty"),
    (b'{"name":""}', 0, "event name is empty"),
    (b'{"name":null}', 0, "event name is empty"),
    (b'{"name":1}', 0, "json: cannot unmarshal number into Go struct field Event.name of type string"),
    (b'{"name":{}}', 0, "json: cannot unmarshal object into Go struct field Event.name of type string"),
    (b'{"name":false}', 0, "json: cannot unmarshal bool into Go struct field Event.name of type string"),
    (b'{"name":"inngest/x"}', 0, "event name is reserved for internal use: inngest/x"),
    (b'{"name":"INNGEST/x"}', 0, "event name is reserved for internal use: INNGEST/x"),
    (b'{"name":"Inngest/function.failed"}', 0, "event name is reserved for internal use: Inngest/function.failed"),
    (b'{"name":"inngest.x"}', 1, ""),
    (b'{"name":"a b\\n\\u00e9"}', 1, ""),
    (b'{"name":"a","data":null}', 1, ""),
    (
        b'{"name":"a","data":[]}',
        0,
        "json: cannot unmarshal array into Go struct field Event.data of type map[string]interface {}",
    ),
    (
        b'{"name":"a","data":"x"}',
        0,
        "json: cannot unmarshal string into Go struct field Event.data of type map[string]interface {}",
    ),
    (
        b'{"name":"a","data":1}',
        0,
        "json: cannot unmarshal number into Go struct field Event.data of type map[string]interface {}",
    ),
    (
        b'{"name":"a","data":true}',
        0,
        "json: cannot unmarshal bool into Go struct field Event.data of type map[string]interface {}",
    ),
    (
        b'{"name":"a","data":{"b":[1e400]}}',
        0,
        "json: cannot unmarshal number 1e400 into Go struct field Event.data of type float64",
    ),
    (
        b'{"name":"a","data":{"b":-1e999}}',
        0,
        "json: cannot unmarshal number -1e999 into Go struct field Event.data of type float64",
    ),
    (b'{"name":"a","id":1}', 0, "json: cannot unmarshal number into Go struct field Event.id of type string"),
    (b'{"name":"a","id":null}', 1, ""),
    (b'{"name":"a","id":["x"]}', 0, "json: cannot unmarshal array into Go struct field Event.id of type string"),
    (b'{"name":"a","ts":1700000000000}', 1, ""),
    (b'{"name":"a","ts":0}', 1, ""),
    (b'{"name":"a","ts":-0}', 1, ""),
    (b'{"name":"a","ts":null}', 1, ""),
    (b'{"name":"a","ts":1700000000}', 0, "timestamp is before Jan 1, 1980"),
    (b'{"name":"a","ts":-1}', 0, "timestamp is before Jan 1, 1980"),
    (
        b'{"name":"a","ts":1.7e12}',
        0,
        "json: cannot unmarshal number 1.7e12 into Go struct field Event.ts of type int64",
    ),
    (
        b'{"name":"a","ts":1700000000000.0}',
        0,
        "json: cannot unmarshal number 1700000000000.0 into Go struct field Event.ts of type int64",
    ),
    (
        b'{"name":"a","ts":"1700000000000"}',
        0,
        "json: cannot unmarshal string into Go struct field Event.ts of type int64",
    ),
    (b'{"name":"a","ts":true}', 0, "json: cannot unmarshal bool into Go struct field Event.ts of type int64"),
    (b'{"name":"a","ts":[]}', 0, "json: cannot unmarshal array into Go struct field Event.ts of type int64"),
    (b'{"name":"a","ts":1e400}', 0, "json: cannot unmarshal number 1e400 into Go struct field Event.ts of type int64"),
    (
        b'{"name":"a","ts":9223372036854775808}',
        0,
        "json: cannot unmarshal number 9223372036854775808 into Go struct field Event.ts of type int64",
    ),
    (
        b'{"name":"a","ts":99999999999999999999999}',
        0,
        "json: cannot unmarshal number 99999999999999999999999 into Go struct field Event.ts of type int64",
    ),
    (b'{"name":"a","ts":315532799999}', 0, "timestamp is before Jan 1, 1980"),
    (b'{"name":"a","ts":315532800000}', 1, ""),
    (b'{"name":"a","ts":4102444800000}', 1, ""),
    (b'{"name":"a","ts":4102444800001}', 0, "timestamp is after Jan 1, 2100"),
    (b'{"name":"a","ts":1795230000000000}', 0, "timestamp is after Jan 1, 2100"),
    (b'{"name":"a","ts":1700000000000000000}', 1, ""),
    (b'{"name":"a","v":"2"}', 1, ""),
    (b'{"name":"a","v":2}', 0, "json: cannot unmarshal number into Go struct field Event.v of type string"),
    (b'{"name":"a","user":{"id":1}}', 1, ""),
    (b'{"name":"a","user":null}', 1, ""),
    (
        b'{"name":"a","user":"x"}',
        0,
        "json: cannot unmarshal string into Go struct field Event.user of type map[string]interface {}",
    ),
    (b'{"name":"a","meta":{"sessions":{"k":"v","n":1}}}', 1, ""),
    (
        b'{"name":"a","meta":"x"}',
        0,
        "json: cannot unmarshal string into Go struct field Event.meta of type event.EventMeta",
    ),
    (
        b'{"name":"a","meta":{"sessions":"x"}}',
        0,
        "json: cannot unmarshal string into Go struct field EventMeta.meta.sessions of type map[string]interface {}",
    ),
    (b'{"name":"a","meta":{"sessions":{"k":true}}}', 0, 'event session "k" must be a string or number'),
    (b'{"name":"a","meta":{"sessions":{"":"v"}}}', 0, "event session keys cannot be empty"),
    (b'{"name":"a","meta":{"sessions":{"k":""}}}', 0, 'event session "k" cannot have an empty ID'),
    (
        b'{"name":"a","meta":{"sessions":{"a":1,"b":2,"c":3,"d":4,"e":5,"f":6}}}',
        0,
        "event sessions can include at most 5 entries",
    ),
    (b'{"name":"a","meta":{"sessions":null}}', 1, ""),
    (b'{"NAME":"a","Data":{},"tS":1700000000000}', 1, ""),
    (b'{"name":"a","other":1e400}', 1, ""),
    (
        b'{"data":[],"name":1}',
        0,
        "json: cannot unmarshal array into Go struct field Event.data of type map[string]interface {}",
    ),
    (b'{"name":1,"data":[]}', 0, "json: cannot unmarshal number into Go struct field Event.name of type string"),
    (b'{"name":1,"a":tru}', 0, "invalid character '}' in literal true (expecting 'e')"),
]
FORMS = [
    (b"a=b", 0, "event name is empty"),
    (b"name=a", 0, "json: cannot unmarshal array into Go struct field Event.name of type string"),
    (
        b"name=a&data=b",
        0,
        "json: cannot unmarshal array into Go struct field Event.data of type map[string]interface {}",
    ),
    (b"a=%zz", 0, 'invalid URL escape "%zz"'),
    (b"a=1;b=2", 0, "invalid semicolon separator in query"),
    (b'{"name":"a"}', 1, ""),
    (b'[{"name":"a"}]', 1, ""),
    (b"", 0, ""),
]


async def ask(api: LocalEventApi, post: Post, body: bytes, content_type: str) -> tuple[int, str]:
    """Post a body and return how many events were accepted and the error, having checked what all answers share."""
    answered = await post(body, content_type=content_type)
    answer = json.loads(answered.body)
    error = answer.get("error", "")
    assert answered.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answered.status == answer["status"] == (400 if error else 200)
    assert answer["ids"] == ([event.internal_id for event in api.events] or [""])
    return len(api.events), error


@pytest.mark.parametrize(("body", "accepted", "error"), SHAPES)
async def test_body_shapes(api: LocalEventApi, post: Post, body: bytes, accepted: int, error: str) -> None:
    """One object or an array is taken, up to the first fault; what was before it is stored."""
    assert await ask(api, post, body, "application/json") == (accepted, error)


@pytest.mark.parametrize(("body", "accepted", "error"), SYNTAX)
async def test_syntax_errors(api: LocalEventApi, post: Post, body: bytes, accepted: int, error: str) -> None:
    """What is not JSON is refused with the sentence of Go's scanner."""
    assert await ask(api, post, body, "application/json") == (accepted, error)


@pytest.mark.parametrize(("body", "accepted", "error"), FIELDS)
async def test_fields(api: LocalEventApi, post: Post, body: bytes, accepted: int, error: str) -> None:
    """Each field has its type and its rule."""
    assert await ask(api, post, body, "application/json") == (accepted, error)


@pytest.mark.parametrize(("body", "accepted", "error"), FORMS)
async def test_forms(api: LocalEventApi, post: Post, body: bytes, accepted: int, error: str) -> None:
    """JSON is tried first whatever the content type says; a form never makes an event."""
    assert await ask(api, post, body, "application/x-www-form-urlencoded") == (accepted, error)


@pytest.mark.parametrize(("body", "accepted", "error"), [row for row in FIELDS if row[2]])
async def test_faults_in_an_array(api: LocalEventApi, post: Post, body: bytes, accepted: int, error: str) -> None:
    """Every kind of bad event leaves those before it accepted and drops those after it."""
    array = b'[{"name":"before"},{"name":"too"},' + body + b',{"name":"after"}]'
    assert await ask(api, post, array, "application/json") == (2, error)
    assert [event.name for event in api.events] == ["before", "too"]
