"""Call one transform on one entry: whatever it does, a value says what became of the entry."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from gateway.blame import raised, sentence
from gateway.errors import TransformError, TransformStarved
from gateway.mapper import Mapper
from gateway.model import Entry, Skip
from gateway.stamp import MAX_EVENTS, Stamped, stamp

HUNG = "its transform took long on another entry"


@dataclass(frozen=True, slots=True)
class Postponed:
    """The transform did not come to its end on the entry, for a reason that may be none of the entry's."""

    source: str
    reason: str = HUNG
    delay_ms: int = 0


class Overdue(Exception):
    """A transform was given up: it took longer than it was given."""


Mapped = Stamped | Skip | TransformError | Postponed


def apply(entry: Entry, mapper: Mapper) -> Stamped | Skip | TransformError:
    """Run a sync transform here and now."""
    try:
        return stamp(entry, mapper, mapper.function(entry.delivery))
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, and none of it may stop us
        return failure(mapper, error)


async def outcome(entry: Entry, mapper: Mapper) -> Any:
    """Run an async transform; return what it returns. Raises whatever it raises."""
    made = mapper.function(entry.delivery)
    return await (_collect(made) if inspect.isasyncgen(made) else made)


async def _collect(events: AsyncGenerator[Any, Any]) -> list[Any]:
    """Take the events of an async generator, and one over the limit from a generator that does not end."""
    collected = []
    async with aclosing(events):
        async for event in events:
            collected.append(event)
            if len(collected) > MAX_EVENTS:
                break
    return collected


def failure(mapper: Mapper, error: BaseException) -> TransformError:
    """Return the sentence alone: the exception's frames would keep the whole payload alive."""
    if isinstance(error, MemoryError):
        return TransformStarved(f"{mapper.reference} raised MemoryError; raise the process's limit of memory")
    if isinstance(error, TransformError):
        return TransformError(sentence(str(error)))
    return TransformError(raised(mapper.reference, error, mapper.package))


def given_up(mapper: Mapper, seconds: float) -> Mapped:
    """Return what becomes of an entry given up after so many seconds: it is at fault where it had all of its time."""
    if seconds < mapper.timeout_seconds:
        return Postponed(mapper.source)
    return TransformError(
        f"{mapper.reference} took over {mapper.timeout_seconds:g} s; make it faster, or set the source's "
        "transform_timeout_seconds"
    )
