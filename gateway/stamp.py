"""Check what a transform returned and make wire events of it. Pure: the same entry gives the same bytes."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

from gateway import event_fields, json_faults, payload
from gateway.blame import raised, sentence
from gateway.errors import TransformError
from gateway.mapper import Mapper, Transform
from gateway.model import Delivery, Entry, Event, JsonObject, Skip, StampedEvent
from gateway.value import value

__all__ = ["MAX_EVENTS", "Mapper", "Stamped", "Transform", "stamp"]

MAX_EVENTS = 10_000

NOTHING = Skip("the transform returned no event")
EXPECTED = "a transform returns None, Skip(reason), an Event or an iterable of Events"


@value
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
        if isinstance(outcome, Skip):
            return Skip(_reason(outcome))
        if isinstance(outcome, Event):
            return _only(entry, mapper, outcome)
        events = _events(outcome)
        return _stamp(entry, mapper, events) if events else NOTHING
    except TransformError as error:
        raise TransformError(sentence(f"{mapper.reference} {error}")) from None
    except Exception as error:  # noqa: BLE001 - a generator, a subclass or a tzinfo is user code and may raise anything
        raise TransformError(raised(mapper.reference, error, mapper.package)) from None


def _reason(skip: Skip) -> str:
    if not isinstance(skip.reason, str):
        raise TransformError(f"returned a Skip whose reason is of type {type(skip.reason).__name__}, not str")
    return sentence(skip.reason) or "the transform gave no reason"


def _events(outcome: object) -> list[object]:
    """Return what is to be events, as a list of bounded length."""
    match outcome:
        case None:
            return []
        case Iterable() if not isinstance(outcome, str | bytes | bytearray | Mapping):
            events = list(islice(outcome, MAX_EVENTS + 1))
            if len(events) > MAX_EVENTS:
                raise TransformError(f"returned more than {MAX_EVENTS} events for one delivery; let it make fewer")
            return events
    if inspect.iscoroutine(outcome):
        outcome.close()
        raise TransformError("returned a coroutine; declare the transform itself with `async def`")
    raise TransformError(f"returned a value of type {type(outcome).__name__}; {EXPECTED}")


def _stamp(entry: Entry, mapper: Mapper, events: Sequence[object]) -> Stamped:
    names: dict[str, int] = {}
    stamped: dict[str, StampedEvent] = {}
    big_integers = 0
    for number, event in enumerate(events, start=1):
        try:
            made, count = _wire(entry, mapper, event, names)
        except TransformError as error:
            which = "an event that" if len(events) == 1 else f"{len(events)} events of which number {number}"
            raise TransformError(f"returned {which} cannot be sent: {error}") from None
        if made.id in stamped:
            raise TransformError(f"returned two events with the id {made.id!r}, of which the event API keeps one")
        stamped[made.id] = made
        big_integers += count
    return Stamped(tuple(stamped.values()), big_integers)


def _only(entry: Entry, mapper: Mapper, event: Event) -> Stamped:
    try:
        made, count = _wire(entry, mapper, event, {})
    except TransformError as error:
        raise TransformError(f"returned an event that cannot be sent: {error}") from None
    return Stamped((made,), count)


def _wire(entry: Entry, mapper: Mapper, event: object, names: dict[str, int]) -> tuple[StampedEvent, int]:
    """Serialise one event, its fields in the order of the wire, and count the big integers it holds as numbers."""
    if not isinstance(event, Event):
        raise TransformError(f"it is of type {type(event).__name__}; {EXPECTED}")
    given, name = event_fields.name(event.name, mapper.prefix)
    names[given] = names.get(given, 0) + 1
    event_id = _id(entry, mapper, event.id, given, names[given])
    data = event_fields.data(event.data)
    if mapper.metadata:
        data = {**data, "_gateway": _metadata(entry.delivery)}
    wire = {"name": name, "data": data, "id": event_id, "ts": event_fields.ts(event.ts, entry.delivery)}
    if version := entry.delivery.version if event.v is None else event_fields.text(event.v, "Event.v"):
        wire["v"] = version
    body = _serialise(wire, mapper)
    count = payload.big_integers(body, data)
    if count and mapper.big_integers == "string":
        body, count = _serialise(wire | {"data": payload.stringify_big_integers(data)}, mapper), 0
    return StampedEvent(event_id, name, body), count


def _id(entry: Entry, mapper: Mapper, own: object, given: str, number: int) -> str:
    rerun = f".r{entry.generation}" if entry.generation else ""
    if own is not None:
        return event_fields.text(own, "Event.id") + rerun
    return f"{mapper.source}:{entry.delivery.id}:{given}" + (f":{number}" if number > 1 else "") + rerun


def _metadata(delivery: Delivery) -> JsonObject:
    return {
        "source": delivery.source,
        "delivery_id": delivery.id,
        "received_at": delivery.received_at,
        "traceparent": delivery.traceparent,
        **({} if delivery.verified else {"verified": False}),
    }


def _serialise(wire: JsonObject, mapper: Mapper) -> bytes:
    try:
        body = payload.dumps(wire)
    except (TypeError, ValueError, RecursionError) as error:
        fault = json_faults.find(wire["data"], "data") or f"an event that cannot be serialised ({error})"
        raise TransformError(f"{fault}; JSON cannot hold that") from None
    # orjson writes NaN and infinity as null, so only an event with a null can hold one. It reads neither, and the
    # shipped transforms pass on what was read.
    if not mapper.shipped and b"null" in body and json_faults.has_infinity(wire["data"]):
        raise TransformError(f"{json_faults.find(wire['data'], 'data')}; JSON cannot hold that")
    return body
