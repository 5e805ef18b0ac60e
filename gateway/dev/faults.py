"""The faults that the local event API plays on request: what a network or a server can do to a sender. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer this and store nothing: 429 with Retry-After, 500, 413, a redirect."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Answer 400 at the event that has this id or name, which keeps those before it and drops those after it."""

    id: str = ""
    name: str = ""
    error: str = "event refused"

    def hits(self, event_id: str, event_name: str) -> bool:
        """Say whether the event of this id and name is meant."""
        return bool((self.id and self.id == event_id) or (self.name and self.name == event_name))


@dataclass(frozen=True, slots=True)
class Reset:
    """Reset the connection: with the body unread, with it read and nothing stored, or stored and not answered."""

    when: Literal["unread", "read", "stored"] = "read"


@dataclass(frozen=True, slots=True)
class Hang:
    """Read the body and never answer, until the server stops or the sender leaves; `stored` keeps the events."""

    stored: bool = False


@dataclass(frozen=True, slots=True)
class Truncate:
    """Store the events and answer 200 with the first half of the JSON."""


@dataclass(frozen=True, slots=True)
class WrongIds:
    """Store the events and answer 200 with `count` ids, whatever their number was."""

    count: int


Fault = Answer | Refuse | Reset | Hang | Truncate | WrongIds
