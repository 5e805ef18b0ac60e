"""The nouns of the gateway, as frozen values: request, delivery, event, entry, lease, attempt, settlement. No I/O."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from gateway import payload
from gateway.value import value

JsonObject = dict[str, Any]


@value
class Request:
    """What arrived over HTTP, not trusted.

    `headers` keep order and repetition; names are lower case. `body` is the exact bytes on the wire, before any
    content decoding. `url` is the configured public URL with the received path and query, or empty when none is
    configured. `received_at` is unix milliseconds.
    """

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    received_at: int
    url: str = ""
    by_name: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # Asked for several times a request; a type checker is told that nobody changes it, as of every value.
        object.__setattr__(self, "by_name", dict(self.headers))

    @property
    def repeats(self) -> bool:
        """Whether any header occurs more than once; then `by_name` has the last value of it."""
        return len(self.by_name) != len(self.headers)

    def values(self, name: str) -> list[str]:
        """Return every value of the header `name` (lower case), in the order received."""
        if name not in self.by_name:
            return []
        return [value for key, value in self.headers if key == name] if self.repeats else [self.by_name[name]]

    @property
    def media_type(self) -> str:
        """The media type without parameters, lower case; empty when there is no Content-Type."""
        values = self.values("content-type")
        return values[0].partition(";")[0].strip().lower() if values else ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A verified request: what a transform is given.

    `id` is the provider's own id for the delivery, equal on every re-send. `type` is the provider's event type and
    `time` its time of the fact (unix milliseconds) where it tells one. `version` is the provider's schema version.
    `headers` have lower-case names and hold neither credentials nor signatures. `body` is the exact bytes as sent;
    `content` is the same after Content-Encoding. `secret` is the label of the secret that verified it. `digest` is the
    hex SHA-256 of what was signed where the signature does not cover the id, so that the same bytes are recognised
    under another id; else empty. `signed_at` is the signed time (unix milliseconds) where there is one; it is not kept.

    `verified` is False where the source checks nothing, and where it keeps what fails: then `doubt` says which check
    failed and why, and `id` begins with `unverified:`, so that it never stands in the way of the genuine delivery.
    """

    source: str
    provider: str
    id: str
    type: str
    received_at: int
    body: bytes
    time: int | None = None
    version: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    content: bytes = b""
    secret: str | None = None
    verified: bool = True
    doubt: str = ""
    traceparent: str = ""
    digest: str = ""
    signed_at: int | None = field(default=None, repr=False, compare=False)

    def json(self) -> Any:
        """Return the payload parsed from JSON; every call returns a value of its own, free to be changed.

        Raises InvalidPayload when the content is not strict JSON in UTF-8.
        """
        return payload.loads(self.content)

    def form(self) -> dict[str, str]:
        """Return the fields of a form-encoded body; the last one wins where a name is repeated.

        Raises InvalidPayload when the content is not UTF-8 or has more than 1,000 fields.
        """
        return payload.form(self.content)

    def text(self) -> str:
        """Return the content as text. Raises InvalidPayload when it is not UTF-8."""
        return payload.text(self.content)

    @property
    def params(self) -> dict[str, str]:
        """The query string's parameters; most providers do not sign them, so do not trust them."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    @property
    def media_type(self) -> str:
        """The media type without parameters, lower case; empty when there is no Content-Type."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Event:
    """What a transform returns for the event API; the gateway adds prefix, id, ts and v where they are absent.

    `name` without a slash gets the source's prefix. `ts` is unix milliseconds or an aware datetime; one in the future
    schedules the event. Limits and meanings: https://www.inngest.com/docs/features/events-triggers/event-format
    """

    name: str
    data: JsonObject
    id: str | None = None
    ts: int | datetime | None = None
    v: str | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """What a transform returns to forward nothing; `reason` is kept with the entry."""

    reason: str


@value
class StampedEvent:
    """An event as it goes over the wire: its id and final name, and its serialised bytes."""

    id: str
    name: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Reply:
    """A handshake answered to the provider instead of keeping a delivery.

    `kind` is the handshake's name in the log. A `rationed` one is given only so often, as it is made with the secret
    for whoever asks.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = "text/plain"
    headers: tuple[tuple[str, str], ...] = ()
    kind: str = ""
    rationed: bool = False


@dataclass(frozen=True, slots=True)
class Learned:
    """The first handshake of a source without a secret: `secret` becomes it, and then `reply` is answered."""

    secret: str = field(repr=False)
    reply: Reply


class State(enum.StrEnum):
    """Where an entry stands: pending -> leased -> forwarded | skipped | pending (retry) | dead."""

    PENDING = "pending"
    LEASED = "leased"
    FORWARDED = "forwarded"
    SKIPPED = "skipped"
    DEAD = "dead"


class ReplayMode(enum.StrEnum):
    """How an entry runs again: `resend` keeps its event ids, `rerun` makes new ones on purpose."""

    RESEND = "resend"
    RERUN = "rerun"


@value
class Frozen:
    """A batch whose fate is unknown, as one entry's share of it.

    It is sent again with the same members in the same order under the same seed, so the entry keeps the bytes of its
    events (one JSON object a line), the batch's name, the seed and its own position in the batch.
    """

    batch: str
    seed: str
    position: int
    events: bytes


@value
class Entry:
    """One delivery in the inbox with its state. Times are unix milliseconds.

    `generation` counts reruns. `rejected_at` is when the event API last refused this entry alone; `rejections` counts
    such refusals, of those after the first only the ones before which another entry was accepted.
    """

    key: int
    delivery: Delivery
    state: State = State.PENDING
    due_at: int = 0
    attempts: int = 0
    generation: int = 0
    reason: str = ""
    rejections: int = 0
    rejected_at: int | None = None
    frozen: Frozen | None = None


@value
class Receipt:
    """What became of a put: the entry's key, and whether the delivery was already known since `first_seen_at`.

    `known_as` is the id of that entry where the same signed bytes came under another id; else empty.
    """

    key: int
    duplicate: bool
    first_seen_at: int
    known_as: str = ""


@value
class Lease:
    """A forwarder's right to one entry until `until` (unix milliseconds); `attempt` numbers the try it is for."""

    entry: Entry
    token: str
    until: int

    @property
    def attempt(self) -> int:
        """The number of the attempt made under this lease, from 1."""
        return self.entry.attempts + 1


@value
class SentEvent:
    """One event of an entry as it was sent, and the id the event API returned for it (empty until accepted)."""

    id: str
    name: str
    event_api_id: str = ""


@value
class Attempt:
    """One try to forward an entry: when, how long, what the event API answered, and the label of the outcome."""

    number: int
    at: int
    duration_ms: int
    outcome: str
    status: int | None = None
    detail: str = ""


@value
class TransformRun:
    """One run of an entry's transform: what the configuration calls it, and how long it took (milliseconds)."""

    reference: str
    ms: float


@value
class Settlement:
    """What became of a leased entry.

    `attempt` is absent when nothing was sent (skipped, or dead in the transform). `due_at` is for `pending`.
    `transform` is absent when it was not run; what is known of an earlier run stays.
    """

    state: State
    reason: str = ""
    due_at: int | None = None
    attempt: Attempt | None = None
    events: tuple[SentEvent, ...] = ()
    rejections: int = 0
    rejected_at: int | None = None
    frozen: Frozen | None = None
    transform: TransformRun | None = None
