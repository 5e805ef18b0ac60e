"""Check the fields of an event one by one and fill in what the transform left out. Pure.

Every function raises TransformError with the sentence's second half: which field, what it is, what it must be.
Limits: https://www.inngest.com/docs/features/events-triggers/event-format
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import lru_cache

from gateway.errors import TransformError
from gateway.model import Delivery, JsonObject

MAX_NAME = 255
# Names come again and again; beyond this many they are made of what is different each time.
MOST_NAMES = 1_024
# The event API takes the years 1980 to 2100, both ends included.
EARLIEST = 315_532_800_000
LATEST = 4_102_444_800_000
# As milliseconds this is 1973; as seconds it is the year 5138.
LIKE_SECONDS = 10**11
LIKE_MICROSECONDS = 10**14

MILLISECONDS = "it must be unix milliseconds as an int, or a datetime with a time zone"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def text(value: object, field: str) -> str:
    """Return a text that is neither empty nor unprintable."""
    if not isinstance(value, str):
        raise TransformError(f"{field} is of type {type(value).__name__}, not str")
    plain = str.__str__(value)
    if not plain.strip():
        raise TransformError(f"{field} is empty")
    if not plain.isprintable():
        raise TransformError(f"{field} holds characters that cannot be printed, such as control characters")
    return plain


def name(given: object, prefix: str) -> tuple[str, str]:
    """Return the name as given, and as the event API sees it: with the prefix, unless the transform gave one."""
    return _name(given if type(given) is str else text(given, "Event.name"), prefix)


@lru_cache(MOST_NAMES)
def _name(given: str, prefix: str) -> tuple[str, str]:
    text(given, "Event.name")
    full = given if "/" in given else f"{prefix}/{given}"
    if full.lower().startswith("inngest/"):
        raise TransformError(f"Event.name is {full[:MAX_NAME]!r}, and inngest/ is reserved by the event API")
    if len(full) > MAX_NAME:
        raise TransformError(f"Event.name has {len(full)} characters with its prefix, and {MAX_NAME} are allowed")
    return given, full


def data(given: object) -> JsonObject:
    """Return the data, which is a JSON object; its values are left to the serialiser."""
    if not isinstance(given, dict):
        raise TransformError(f'Event.data is of type {type(given).__name__}, not dict; wrap it, as in {{"body": ...}}')
    return given


def ts(given: object, delivery: Delivery) -> int:
    """Return the event's time as unix milliseconds: the transform's, else the fact's, never after its receipt."""
    match given:
        case None:
            told = delivery.received_at if delivery.time is None else delivery.time
            return max(EARLIEST, min(told, delivery.received_at, LATEST))
        case datetime():
            if given.utcoffset() is None:
                raise TransformError("Event.ts is a datetime without a time zone, such as datetime.now(UTC) has")
            moment = (given - EPOCH) // timedelta(milliseconds=1)
        case int() if not isinstance(given, bool):
            moment = int(given)
        case _:
            raise TransformError(f"Event.ts is of type {type(given).__name__}; {MILLISECONDS}")
    if EARLIEST <= moment <= LATEST:
        return moment
    if 0 < moment < LIKE_SECONDS:
        raise TransformError(f"Event.ts looks like seconds; {MILLISECONDS}")
    if moment > LIKE_MICROSECONDS:
        raise TransformError(f"Event.ts looks like microseconds or nanoseconds; {MILLISECONDS}")
    raise TransformError(f"Event.ts is outside the years 1980 to 2100; {MILLISECONDS}")
