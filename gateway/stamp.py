"""Check what a transform returned and make it wire events: name, data, id, ts, v. Pure: the same entry, the same bytes."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Literal

from gateway import json_faults, payload
from gateway.blame import raised, sentence
from gateway.errors import TransformError
from gateway.model import Delivery, Entry, Event, JsonObject, Skip, StampedEvent

Transform = Callable[[Delivery], Any]

MAX_EVENTS = 10_000
MAX_NAME = 255
# The event API takes the years 1980 to 2100, both ends included.
EARLIEST = 315_532_800_000
LATEST = 4_102_444_800_000
# As milliseconds this is 1973; as seconds it is the year 5138.
LIKE_SECONDS = 10**11

NOTHING = Skip("the transform returned no event")
EXPECTED = "a transform returns None, Skip(reason), an Event or an iterable of Events"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Mapper:
    """A source's transform, found, and what the gateway adds to the events it returns.

    `reference` is what the configuration calls it. `metadata` adds `_gateway` to the data; `big_integers` says how
    integers beyond ±2^53 are sent.
    """

    source: str
    reference: str
    function: Transform
    prefix: str
    timeout_seconds: float = 10.0
    metadata: bool = False
    big_integers: Literal["number", "string"] = "number"

    @property
    def package(self) -> str:
        """The top-level package in which the transform's own code lives."""
        module, colon, _ = self.reference.partition(":")
        return (module if colon else str(getattr(self.function, "__module__", ""))).partition(".")[0]


@dataclass(frozen=True, slots=True)
class Stamped:
    """The events of one entry as they go over the wire, and how many integers beyond ±2^53 they hold as numbers."""

    events: tuple[StampedEvent, ...]
    big_integers: int = 0


def stamp(entry: Entry, mapper: Mapper, outcome: object) -> Stamped | Skip:
    """Return the wire events of what the transform returned, all or nothing.

    The id is `<source>:<delivery id>:<name as given>`, then `:<n>` for the n-th event of that name, then `.r<g>` in
    the g-th rerun. A transform's own id is kept as given, and takes the rerun's suffix too: a rerun is there to make
    new ids, and the event API would drop events whose ids it knows. Raises TransformError, and nothing else.
    """
    try:
        return _stamp(entry, mapper, outcome)
    except TransformError as error:
        raise TransformError(sentence(f"{mapper.reference} {error}")) from None


def _stamp(entry: Entry, mapper: Mapper, outcome: object) -> Stamped | Skip:
    match outcome:
        case None:
            return NOTHING
        case Skip():
            return Skip(sentence(_text(outcome.reason, "Skip.reason")))
    events = _events(outcome, mapper)
    if not events:
        return NOTHING
    seen: Counter[str] = Counter()
    stamped: dict[str, StampedEvent] = {}
    big_integers = 0
    for number, event in enumerate(events, start=1):
        try:
            made, count = _wire(entry, mapper, event, seen)
        except TransformError as error:
            raise TransformError(f"returned a bad event (number {number} of {len(events)}): {error}") from None
        if made.id in stamped:
            raise TransformError(f"returned two events with the id {made.id!r}; the event API drops one of them")
        stamped[made.id] = made
        big_integers += count
    return Stamped(tuple(stamped.values()), big_integers)


def _events(outcome: object, mapper: Mapper) -> list[Any]:
    """Return what is to be events, as a list of bounded length."""
    match outcome:
        case Event():
            return [outcome]
        case str() | bytes() | Mapping():
            raise TransformError(f"returned a {type(outcome).__name__}; {EXPECTED}")
        case Iterable():
            try:
                events = list(islice(outcome, MAX_EVENTS + 1))
            except Exception as error:
                raise TransformError(raised("", error, mapper.package).strip()) from None
            if len(events) > MAX_EVENTS:
                raise TransformError(f"returned more than {MAX_EVENTS} events for one delivery")
            return events
    if inspect.iscoroutine(outcome):
        outcome.close()
        raise TransformError("returned a coroutine; declare the transform itself with `async def`")
    raise TransformError(f"returned a {type(outcome).__name__}; {EXPECTED}")


def _wire(entry: Entry, mapper: Mapper, event: object, seen: Counter[str]) -> tuple[StampedEvent, int]:
    """Serialise one event, its fields in the order of the wire; also count its big integers."""
    if not isinstance(event, Event):
        raise TransformError(f"it is a {type(event).__name__}, not an Event; {EXPECTED}")
    given = _text(event.name, "Event.name")
    seen[given] += 1
    name = _name(given, mapper.prefix)
    own_id = None if event.id is None else _text(event.id, "Event.id")
    event_id = _id(entry, mapper, own_id, given, seen[given])
    data = _data(event.data, entry.delivery, mapper)
    wire = {"name": name, "data": data, "id": event_id, "ts": _ts(event.ts, entry.delivery)}
    if version := _version(event.v, entry.delivery):
        wire["v"] = version
    body = _serialise(wire)
    return StampedEvent(event_id, name, body), payload.big_integers(body, data)


def _text(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise TransformError(f"{field} is of type {type(value).__name__}, not str")
    text = str.__str__(value)
    if not text.strip():
        raise TransformError(f"{field} is empty")
    if field != "Skip.reason" and not text.isprintable():
        raise TransformError(f"{field} holds characters that cannot be printed: {text[:MAX_NAME]!r}")
    return text


def _name(given: str, prefix: str) -> str:
    name = given if "/" in given else f"{prefix}/{given}"
    if name.lower().startswith("inngest/"):
        raise TransformError(f"Event.name is {name[:MAX_NAME]!r}, and inngest/ is reserved by the event API")
    if len(name) > MAX_NAME:
        raise TransformError(f"Event.name has {len(name)} characters with its prefix, and {MAX_NAME} are allowed")
    return name


def _id(entry: Entry, mapper: Mapper, own: str | None, given: str, number: int) -> str:
    computed = f"{mapper.source}:{entry.delivery.id}:{given}" + (f":{number}" if number > 1 else "")
    rerun = f".r{entry.generation}" if entry.generation else ""
    return (own or computed) + rerun


def _data(data: object, delivery: Delivery, mapper: Mapper) -> JsonObject:
    if not isinstance(data, dict):
        raise TransformError(f'Event.data is of type {type(data).__name__}, not dict; wrap it, as in {{"body": ...}}')
    if mapper.metadata:
        known = {"source": delivery.source, "delivery_id": delivery.id, "received_at": delivery.received_at}
        data = {**data, "_gateway": {**known, "traceparent": delivery.traceparent}}
    if mapper.big_integers == "string":
        return payload.stringify_big_integers(data)
    return data


def _ts(given: object, delivery: Delivery) -> int:
    """Return the event's time as unix milliseconds: the transform's, else the fact's, never after its receipt."""
    match given:
        case None:
            told = delivery.received_at if delivery.time is None else delivery.time
            return max(EARLIEST, min(told, delivery.received_at, LATEST))
        case datetime():
            if given.utcoffset() is None:
                raise TransformError("Event.ts is a datetime without a time zone; use one such as datetime.now(UTC)")
            ts = (given - EPOCH) // timedelta(milliseconds=1)
        case int() if not isinstance(given, bool):
            ts = int(given)
        case _:
            raise TransformError(f"Event.ts is of type {type(given).__name__}; {MILLISECONDS}")
    if EARLIEST <= ts <= LATEST:
        return ts
    guess = "seconds" if 0 < ts < LIKE_SECONDS else "microseconds or nanoseconds" if ts > LATEST * 20 else ""
    looks = f"looks like {guess}" if guess else "is outside the years 1980 to 2100"
    raise TransformError(f"Event.ts {looks}; {MILLISECONDS}")


def _version(given: object, delivery: Delivery) -> str | None:
    return delivery.version if given is None else _text(given, "Event.v")


def _serialise(wire: JsonObject) -> bytes:
    try:
        body = payload.dumps(wire)
    except (TypeError, ValueError, RecursionError) as error:
        fault = json_faults.find(wire["data"], "data") or f"an event that cannot be serialised ({error})"
        raise TransformError(f"{fault}; JSON cannot hold that") from None
    # orjson writes NaN and infinity as null, so only an event with a null can hold one.
    if b"null" in body and json_faults.has_infinity(wire["data"]):
        raise TransformError(f"{json_faults.find(wire['data'], 'data')}; JSON cannot hold that")
    return body
