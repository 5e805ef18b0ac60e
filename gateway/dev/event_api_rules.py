"""What the event API accepts as events, and the sentence with which it refuses the rest. Pure.

Observed of the open-source server (https://github.com/inngest/inngest, pkg/eventstream and pkg/event). Of its ways to
read a body, multipart forms alone are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from gateway.dev.go_json import Member, kind, members
from gateway.dev.go_scanner import JsonError, TruncatedError, refuse_rest, scan, skip_space

MAX_EVENT_BYTES = 3 * 1024 * 1024
MAX_EVENTS = 5_000

_NOT_EVENTS = "Request body must contain an event object or an array of event objects"
_GO_TYPES = {"name": "string", "id": "string", "v": "string", "ts": "int64", "meta": "event.EventMeta"}
_GO_TYPES |= dict.fromkeys(("data", "user"), "map[string]interface {}")
_EARLIEST = 315_532_800_000  # 1980-01-01
_LATEST = 4_102_444_800_000  # 2100-01-01
_MAX_SESSIONS, _MAX_SESSION_KEY, _MAX_SESSION_ID = 5, 128, 512
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})[^&]{0,2}")


class RefusedError(ValueError):
    """An event, or the body, is refused; the message is what the event API answers."""


@dataclass(frozen=True, slots=True)
class InboundEvent:
    """An accepted event as the event API keeps it, and its bytes as received.

    `id` is the sender's, empty when there is none. `ts` is unix milliseconds, the time of receipt where none was sent.
    """

    name: str
    id: str
    ts: int
    v: str
    data: dict[str, Any] | None
    raw: bytes


def read_events(body: bytes, content_type: str, received_at: int) -> Iterator[InboundEvent]:
    """Yield the events of a body in order, and raise RefusedError at the first that is refused.

    Those yielded before stand: the event API does not take a request whole or not at all.
    """
    text = body.decode(errors="surrogateescape")
    at = skip_space(text, 0)
    match text[at : at + 1]:
        case "":
            return
        case "{":
            yield _read_document(text[at:], received_at)
        case "[":
            yield from _read_array(text, at + 1, received_at)
        case _ if content_type.partition(";")[0].strip().lower() == "application/x-www-form-urlencoded":
            yield _read_document(_form_as_json(text[at:]), received_at)
        case _:
            raise RefusedError(_NOT_EVENTS)


def _read_document(text: str, received_at: int) -> InboundEvent:
    """Read a body that is one object; what follows it counts towards its size."""
    raw = text.encode(errors="surrogateescape")
    _limit(len(raw))
    try:
        found, end = members(text, 0)
        refuse_rest(text, end)
    except JsonError as error:
        raise RefusedError(str(error)) from error
    return _check(found, raw, received_at)


def _read_array(text: str, at: int, received_at: int) -> Iterator[InboundEvent]:
    """Read the elements that follow a `[`; an array cut off between two elements ends like a whole one."""
    count = 0
    while True:
        at = skip_space(text, at)
        char = text[at : at + 1]
        if char in ("", "]", "}"):
            return
        if count == MAX_EVENTS:
            raise RefusedError(f"Cannot have more than {MAX_EVENTS} events in a batch")
        if count and char != ",":
            raise RefusedError("expected comma after array element")
        event, at = _read_element(text, skip_space(text, at + 1) if count else at, received_at)
        yield event
        count += 1


def _read_element(text: str, at: int, received_at: int) -> tuple[InboundEvent, int]:
    if at == len(text):
        raise RefusedError("EOF")
    try:
        found, end = members(text, at) if text[at] == "{" else (None, scan(text, at))
    except TruncatedError as error:
        raise RefusedError("unexpected EOF") from error
    except JsonError as error:
        raise RefusedError(str(error)) from error
    raw = text[at:end].encode(errors="surrogateescape")
    _limit(len(raw))
    if found is None and raw != b"null":
        raise RefusedError(f"json: cannot unmarshal {_kind_of_scanned(raw)} into Go value of type event.Event")
    return _check(found or [], raw, received_at), end


def _kind_of_scanned(raw: bytes) -> str:
    return {b"[": "array", b'"': "string", b"t": "bool", b"f": "bool"}.get(raw[:1], "number")


def _limit(size: int) -> None:
    if size > MAX_EVENT_BYTES:
        raise RefusedError(f"Event is over the max size: Max {MAX_EVENT_BYTES} bytes / Size {size} bytes")


def _form_as_json(text: str) -> str:
    """Return a form as `{field: [values]}`, which no rule below ever takes for an event."""
    if ";" in text:
        raise RefusedError("invalid semicolon separator in query")
    if bad := _BAD_ESCAPE.search(text):
        raise RefusedError(f'invalid URL escape "{bad[0]}"')
    return json.dumps(parse_qs(text, keep_blank_values=True), sort_keys=True)


def _check(found: list[Member], raw: bytes, received_at: int) -> InboundEvent:
    fields = _assign(found)
    name, ts = fields["name"], fields["ts"]
    if name.lower().startswith("inngest/"):
        raise RefusedError(f"event name is reserved for internal use: {name}")
    if not name:
        raise RefusedError("event name is empty")
    if ts:
        _check_time(ts)
    _check_sessions(fields["meta"])
    data = fields["data"]
    if data is not None:
        data.pop("_inngest", None)
    return InboundEvent(name, fields["id"], ts or received_at, fields["v"], data, raw)


def _assign(found: list[Member]) -> dict[str, Any]:
    """Put the members into the fields of Go's struct.

    Facts: keys match in any case; of a repeated key the last one stands, but objects merge; null changes a field only
    where it is an object; unknown keys are dropped, whatever they hold.
    """
    fields: dict[str, Any] = {"name": "", "id": "", "v": "", "ts": 0, "data": None, "user": None, "meta": {}}
    for member in found:
        field = member.key.casefold()
        match field:
            case "data" | "user" if member.value is None:
                fields[field] = None
            case _ if field not in fields or member.value is None:
                continue
            case "data" | "user":
                fields[field] = (fields[field] or {}) | _object(field, member)
            case "meta":
                fields[field] = _sessions(_object(field, member))
            case "ts":
                fields[field] = _integer(member)
            case _:
                if not isinstance(member.value, str):
                    raise _mistyped(field, kind(member.value))
                fields[field] = member.value
    return fields


def _object(field: str, member: Member) -> dict[str, Any]:
    if not isinstance(member.value, dict):
        raise _mistyped(field, kind(member.value))
    if member.overflow and field != "meta":
        raise _mistyped(field, f"number {member.overflow}", "float64")
    return member.value


def _integer(member: Member) -> int:
    """Return the exact value of an int64; a fraction or an exponent, even a whole one, is no integer."""
    if not member.number:
        raise _mistyped("ts", kind(member.value))
    if not re.fullmatch("-?[0-9]{1,19}", member.number) or not -(2**63) <= int(member.number) < 2**63:
        raise _mistyped("ts", f"number {member.number}")
    return int(member.number)


def _mistyped(field: str, what: str, go_type: str = "") -> RefusedError:
    wanted = go_type or _GO_TYPES[field]
    return RefusedError(f"json: cannot unmarshal {what} into Go struct field Event.{field} of type {wanted}")


def _check_time(ts: int) -> None:
    """Compare in nanoseconds that wrap at 64 bits, as the event API does: so some absurd times pass."""
    wrapped = (ts * 1_000_000 + 2**63) % 2**64 - 2**63
    if wrapped < _EARLIEST * 1_000_000:
        raise RefusedError("timestamp is before Jan 1, 1980")
    if wrapped > _LATEST * 1_000_000:
        raise RefusedError("timestamp is after Jan 1, 2100")


def _sessions(meta: dict[str, Any]) -> dict[str, str]:
    sessions = next((value for key, value in meta.items() if key.casefold() == "sessions"), None)
    if sessions is None:
        return {}
    if not isinstance(sessions, dict):
        where = "Go struct field EventMeta.meta.sessions of type map[string]interface {}"
        raise RefusedError(f"json: cannot unmarshal {kind(sessions)} into {where}")
    for key, value in sessions.items():
        if kind(value) not in ("string", "number"):
            raise RefusedError(f"event session {_quoted(key)} must be a string or number")
    return {key: str(value) for key, value in sessions.items()}


def _check_sessions(sessions: dict[str, str]) -> None:
    if len(sessions) > _MAX_SESSIONS:
        raise RefusedError(f"event sessions can include at most {_MAX_SESSIONS} entries")
    for key, value in sessions.items():
        if not key:
            raise RefusedError("event session keys cannot be empty")
        if len(key.encode()) > _MAX_SESSION_KEY:
            raise RefusedError(f"event session key {_quoted(key)} exceeds {_MAX_SESSION_KEY} bytes")
        if not value:
            raise RefusedError(f"event session {_quoted(key)} cannot have an empty ID")
        if len(value.encode()) > _MAX_SESSION_ID:
            raise RefusedError(f"event session {_quoted(key)} exceeds {_MAX_SESSION_ID} bytes")


def _quoted(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)
