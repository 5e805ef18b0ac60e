"""What the gateway and its worker processes say to each other: frames of a length and so many bytes.

The gateway trusts no worker: what it reads from one is JSON. A worker trusts the gateway: what it reads is pickled.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from gateway.errors import TransformError
from gateway.mapper import Mapper
from gateway.model import Entry, Skip, StampedEvent
from gateway.stamp import Stamped

LENGTH = struct.Struct(">I")
MAX_ANSWER = 256 * 1024 * 1024
READY = b'{"ready":true}'
# Written beforehand, as there is no memory to write it with.
STARVED = b'{"starved":true}'


@dataclass(frozen=True, slots=True)
class Hello:
    """What a worker is told first: which transforms to load, from which files, and within how much memory."""

    parent: int
    folder: str
    references: tuple[str, ...]
    memory_mb: int
    files: Mapping[str, bytes]


class Starved(Exception):
    """The worker found no memory."""


def framed(content: bytes) -> bytes:
    """Return the content behind its length."""
    return LENGTH.pack(len(content)) + content


def hello(told: Hello) -> bytes:
    """Write a hello."""
    return pickle.dumps(told)


def read_hello(content: bytes) -> Hello:
    """Read a hello."""
    told: Hello = pickle.loads(content)  # noqa: S301 - the gateway alone holds the other end
    return told


def job(entry: Entry, mapper: Mapper) -> bytes:
    """Write an entry and the mapper for it, without its function."""
    sent = replace(mapper, function=_none, isolation=None, routes=())
    delivery = replace(entry.delivery, headers=dict(entry.delivery.headers))
    return pickle.dumps((Entry(entry.key, delivery, generation=entry.generation), sent))


def read_job(content: bytes) -> tuple[Entry, Mapper]:
    """Read a job."""
    made: tuple[Entry, Mapper] = pickle.loads(content)  # noqa: S301 - the gateway alone holds the other end
    return made


def answer(mapped: Stamped | Skip | TransformError) -> bytes:
    """Write what became of an entry."""
    match mapped:
        case Stamped(events=events, big_integers=count):
            written = orjson.dumps({"events": [[e.id, e.name, e.body.decode()] for e in events], "big_integers": count})
            if len(written) > MAX_ANSWER:
                return answer(TransformError(f"returned events of over {MAX_ANSWER >> 20} MiB; let it make fewer"))
            return written
        case Skip(reason=reason):
            return orjson.dumps({"skip": reason})
    return orjson.dumps({"error": str(mapped)})


def read_answer(content: bytes) -> Stamped | Skip | TransformError:
    """Read what became of an entry. Raises Starved, and ValueError for what no worker writes."""
    match orjson.loads(content):
        case {"events": list(events), "big_integers": int(count)}:
            return Stamped(tuple(_event(*event) for event in events), count)
        case {"skip": str(reason)}:
            return Skip(reason)
        case {"error": str(sentence)}:
            return TransformError(sentence)
        case {"starved": True}:
            raise Starved
    raise ValueError("not an answer")


def _event(identifier: Any, name: Any, body: Any) -> StampedEvent:
    if not all(isinstance(part, str) for part in (identifier, name, body)):
        raise ValueError("not an event")
    return StampedEvent(identifier, name, body.encode())


def _none(_: Any) -> None:
    """Stand for a function that is not sent."""
