"""Deliveries, entries and histories as rows of an inbox's tables, and back. Pure."""

from __future__ import annotations

from typing import Any

from gateway import payload
from gateway.delivered import delivered
from gateway.history import History
from gateway.model import Attempt, Delivery, Entry, Frozen, SentEvent, State, TransformRun
from gateway.rejections import RequestRejected

# The bodies of one step of a walk are in memory at once, and one of them may have many megabytes.
STEP_BYTES = 4 * 1024 * 1024

Row = dict[str, Any]

_STATES = {state.value: state for state in State}


def body_row(delivery: Delivery) -> tuple[bytes, bytes, bytes | None]:
    """Return metadata, body and content as stored; content is None where the body tells it."""
    decoded = _decoded_size(delivery)
    metadata = {
        "time": delivery.time,
        "version": delivery.version,
        "headers": dict(delivery.headers),
        "query": delivery.query,
        "secret": delivery.secret,
        "verified": delivery.verified,
        "doubt": delivery.doubt,
        "traceparent": delivery.traceparent,
        "decoded": decoded,
    }
    told = decoded is not None or delivery.content == delivery.body
    return payload.dumps(metadata), delivery.body, None if told else delivery.content


def trace_id(delivery: Delivery) -> str:
    """Return the trace id, empty without one. https://www.w3.org/TR/trace-context/#traceparent-header."""
    return delivery.traceparent[3:35]


def entry(row: Row) -> Entry:
    """Make an entry of a row, with its body where the row is wide."""
    frozen = Frozen(row["batch"], row["seed"], row["position"], row["events"]) if row["batch"] is not None else None
    return Entry(
        key=row["key"],
        delivery=_delivery(row),
        state=_STATES[row["state"]],
        due_at=row["due_at"],
        attempts=row["attempts"],
        generation=row["generation"],
        reason=row["reason"],
        rejections=row["rejections"],
        rejected_at=row["rejected_at"],
        frozen=frozen,
    )


def history(row: Row, attempts: tuple[Attempt, ...] = (), events: tuple[SentEvent, ...] = ()) -> History:
    """Make a history of a row, with the body where the row is wide."""
    return History(
        entry=entry(row),
        attempts=attempts,
        events=events,
        duplicates=row["hits"] or 0,
        last_duplicate_at=row["last_seen"],
        settled_at=row["settled_at"],
        body_kept=bool(row["body_kept"]),
        transform=TransformRun(row["transform"], row["transform_ms"]) if row["transform"] is not None else None,
    )


def _delivery(row: Row) -> Delivery:
    digest = (row["digest"] or b"").hex()
    if row["metadata"] is None:
        narrow = {name: row[name] for name in ("source", "provider", "type", "received_at")}
        return Delivery(id=row["delivery_id"], body=b"", digest=digest, **narrow)
    metadata = payload.loads(row["metadata"])
    decoded = metadata["decoded"]
    if "verified" not in metadata:
        metadata |= _verification(metadata["secret"])
    body = row.get("body", b"")
    content = row.get("content")
    if content is None:
        content = _decode(body, metadata["headers"], decoded) if body and decoded is not None else body
    return delivered(
        row["source"],
        row["provider"],
        row["delivery_id"],
        row["type"],
        row["received_at"],
        body,
        metadata["time"],
        metadata["version"],
        metadata["headers"],
        metadata["query"],
        content,
        metadata["secret"],
        metadata["verified"],
        metadata.get("doubt", ""),
        metadata["traceparent"],
        digest,
        None,
    )


def _verification(index: int | None) -> Row:
    """Return what the metadata of an older gateway means, which kept the position of the secret alone."""
    return {"secret": None if index is None else f"secrets[{index}]", "verified": index is not None}


def _decoded_size(delivery: Delivery) -> int | None:
    """Return the size of the content when undoing the body's Content-Encoding gives exactly that content."""
    if delivery.content == delivery.body:
        return None
    encoding = delivery.headers.get("content-encoding", "")
    try:
        content = payload.decode(delivery.body, encoding, limit=len(delivery.content))
    except RequestRejected:
        return None
    return len(content) if content == delivery.content else None


def _decode(body: bytes, headers: dict[str, str], size: int) -> bytes:
    """Undo the Content-Encoding; a body that rotted on disk stays as it is, for its transform alone to fail on."""
    try:
        return payload.decode(body, headers["content-encoding"], limit=size)
    except RequestRejected:
        return body
