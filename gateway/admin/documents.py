"""What the JSON API tells, as typed documents: their keys, meanings and kinds; times are unix milliseconds, in UTC.

The OpenAPI document is made of these, and the answers of the commands' `--json` are the same.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, with_config
from typing_extensions import TypedDict  # as pydantic reads that of Python 3.12 and later alone

_EXACT = with_config(ConfigDict(extra="forbid"))

StateName = Literal["pending", "leased", "forwarded", "skipped", "dead"]
Outcome = Literal[
    "accepted",
    "duplicate",
    "handshake",
    "rejected",
    "unavailable",
    "error",
    "pending",
    "forwarded",
    "skipped",
    "dead",
    "dropped",
]
LaneState = Literal["healthy", "failing", "paused"]


def _is(text: str) -> object:
    return Field(description=text)


@_EXACT
class TransformDocument(TypedDict):
    """The last run of the entry's transform."""

    reference: Annotated[str, _is("What the configuration called it.")]
    ms: Annotated[float, _is("How long it took.")]


@_EXACT
class AttemptDocument(TypedDict):
    """One try to forward an entry."""

    number: Annotated[int, _is("From 1.")]
    at: int
    duration_ms: int
    outcome: Annotated[str, _is("The label of what was made of the event API's answer.")]
    status: Annotated[int | None, _is("The HTTP status, where there was an answer.")]
    detail: str


@_EXACT
class EventDocument(TypedDict):
    """One event of an entry."""

    id: str
    name: str
    event_api_id: Annotated[str, _is("The id that the event API returned; empty until it accepted the event.")]


@_EXACT
class DeliveryDocument(TypedDict):
    """One delivery in the inbox and what became of it."""

    key: Annotated[int, _is("The entry's own number.")]
    source: str
    provider: str
    delivery_id: Annotated[str, _is("The provider's id, equal on every re-send.")]
    type: str
    received_at: int
    state: StateName
    reason: Annotated[str, _is("Why it is in this state, where there is a reason.")]
    due_at: Annotated[int | None, _is("When it is tried next, while it is pending.")]
    settled_at: int | None
    generation: Annotated[int, _is("How often it was run again with new event ids.")]
    duplicates: Annotated[int, _is("How many re-sends were absorbed.")]
    last_duplicate_at: int | None
    secret: Annotated[str | None, _is("The label of the secret that verified it.")]
    verified: bool
    doubt: Annotated[str, _is("Which check failed, where it was kept all the same.")]
    traceparent: Annotated[str, _is("The W3C trace context of the request.")]
    trace_id: str
    body_kept: bool
    transform: TransformDocument | None
    attempts: list[AttemptDocument]
    events: list[EventDocument]


@_EXACT
class LifeDocument(DeliveryDocument):
    """One delivery with the size of its body."""

    body_bytes: Annotated[int | None, _is("The size of the body as sent, until retention takes it.")]


@_EXACT
class ForwardingDocument(TypedDict):
    """How forwarding to the event API stands."""

    state: Annotated[LaneState, _is("failing backs off; paused waits for the configuration. Nothing is lost.")]
    reason: str
    resume_at: Annotated[int | None, _is("When the next request may be sent, while it is not healthy.")]


@_EXACT
class DeliveriesDocument(TypedDict):
    """A page of deliveries, newest first."""

    deliveries: list[DeliveryDocument]
    next: Annotated[str | None, _is("What `before` is for the next page; null on the last one.")]


@_EXACT
class LivesDocument(TypedDict):
    """The deliveries that an id belongs to, of which there is mostly one."""

    deliveries: list[LifeDocument]
    forwarding: Annotated[ForwardingDocument | None, _is("null where no gateway serves the inbox.")]


@_EXACT
class SecretDocument(TypedDict):
    """One secret of a source, by what people call it."""

    label: str
    not_after: Annotated[int | None, _is("The last moment at which it matches.")]
    uses: Annotated[int, _is("How many deliveries it verified within the retention, where there are several secrets.")]
    last_used_at: int | None


@_EXACT
class RejectionDocument(TypedDict):
    """How often requests were rejected for one reason."""

    reason: str
    count: int
    first_at: int
    last_at: int


@_EXACT
class RefusingDocument(TypedDict):
    """Answers other than success since the last delivery that was accepted."""

    since: int
    last_at: int
    count: int
    status: Annotated[int, _is("The last status.")]
    reason: Annotated[str, _is("The last reason.")]


@_EXACT
class GiveUpDocument(TypedDict):
    """What the provider does when it is refused for long, by what is known of it."""

    seconds: Annotated[float | None, _is("Until the first of it happens, 0 where it has; null where it is not known.")]
    drops_at: Annotated[int | None, _is("When the first refused delivery comes no more.")]
    disables_at: Annotated[int | None, _is("When the subscription ends; from a count of failures, at the pace so far.")]
    sentence: str


@_EXACT
class SourceDocument(TypedDict):
    """One source: what to register, and how it fares."""

    source: str
    provider: str
    url: Annotated[str, _is("The URL to register, its path token left out.")]
    register_at: str
    secret_at: str
    secrets: int
    secret_uses: list[SecretDocument]
    transform: str
    dedupe_window_days: int
    enforce: bool
    pending: int
    forwarded: int
    skipped: int
    dead: int
    duplicates: int
    last_received_at: int | None
    rejections: list[RejectionDocument]
    refusing: RefusingDocument | None
    give_up: GiveUpDocument | None


@_EXACT
class SourcesDocument(TypedDict):
    """All sources, in the order of the configuration."""

    sources: list[SourceDocument]


@_EXACT
class CountsDocument(TypedDict):
    """How many entries there are."""

    by_source: Annotated[dict[str, dict[StateName, int]], _is("By source and state; what is none is left out.")]
    duplicates: Annotated[dict[str, int], _is("Re-sends absorbed, by source.")]
    last_received_at: dict[str, int]
    oldest_pending_at: Annotated[int | None, _is("When the oldest delivery was received that is not settled yet.")]


@_EXACT
class PercentilesDocument(TypedDict):
    """Milliseconds below which so many percent are."""

    p50: float
    p90: float
    p99: float
    max: float


@_EXACT
class BacklogDocument(TypedDict):
    """What of a source is not settled yet."""

    waiting: int
    oldest_at: int


@_EXACT
class StatsDocument(TypedDict):
    """Rates, percentiles and backlog of the last so many seconds."""

    at: int
    window_seconds: Annotated[float, _is("Shorter than asked for where more was settled than is looked at.")]
    received_per_second: float
    settled_per_second: Annotated[dict[StateName, float], _is("By the state in which entries were settled.")]
    by_source: Annotated[dict[str, float], _is("Received per second, by source.")]
    end_to_end_ms: Annotated[PercentilesDocument | None, _is("From receipt to settlement, of forwarded deliveries.")]
    attempt_ms: Annotated[PercentilesDocument | None, _is("The last request to the event API of each.")]
    backlog: Annotated[dict[str, BacklogDocument], _is("By source.")]
    forwarding: Annotated[ForwardingDocument | None, _is("null where no gateway serves the inbox.")]


@_EXACT
class HappeningDocument(TypedDict):
    """One answer to a request, or one settlement of a delivery."""

    at: int
    source: str
    outcome: Annotated[Outcome, _is("dropped: the caller was too slow for as many as `reason` says.")]
    delivery_id: str
    type: str
    status: Annotated[int | None, _is("Of our answer, or of the event API's.")]
    reason: str
    ms: Annotated[float, _is("How long the request took, or how long after its receipt the delivery was settled.")]
    attempt: int | None
    events: Annotated[list[str], _is("The names of the events that were sent.")]


@_EXACT
class ReplayCountDocument(TypedDict):
    """What a replay would take."""

    count: int
    by_source: dict[str, int]


@_EXACT
class ReplayStepDocument(TypedDict):
    """What a step of a replay took."""

    count: int
    last_key: Annotated[int, _is("The next step's `after`; where it is this step's, nothing is left.")]


@_EXACT
class HealthDocument(TypedDict):
    """Whether all is well."""

    status: Literal["ok", "unavailable"]
    faults: Annotated[list[str], _is("What is not, in a few words each.")]


@_EXACT
class FaultDocument(TypedDict):
    """Why a request was not answered otherwise."""

    error: Annotated[str, _is("A label.")]
    detail: Annotated[str, _is("A sentence for people.")]
