"""The life of one delivery on one screen: what came, who vouched for it, what was made of it, and what is next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from gateway.admin.documents import AttemptDocument, ForwardingDocument, LifeDocument
from gateway.cli import report

Fact = tuple[str, object]


def facts(life: LifeDocument, forwarding: ForwardingDocument | None) -> Iterator[Fact]:
    """Yield the facts in the order in which they came about; `forwarding` is None where no gateway serves."""
    yield "delivery", f"{life['source']} {life['delivery_id']} ({life['type'] or 'no type'})"
    yield "received", f"{report.moment(life['received_at'])}, {_size(life)}, kept as entry {life['key']}"
    yield "verified", _verification(life)
    yield "trace", life["traceparent"]
    yield "duplicates", _duplicates(life)
    if life["generation"]:
        yield "reruns", f"{life['generation']}, each with new event ids"
    if run := life["transform"]:
        yield "transform", f"{run['reference']}, {run['ms']:.3g} ms"
    for attempt in life["attempts"]:
        yield f"attempt {attempt['number']}", _attempt(attempt)
    for event in life["events"]:
        yield "event", f"{event['name']} {event['id']} -> {event['event_api_id'] or 'not accepted'}"
    yield "state", f"{life['state']} {life['reason']}".strip()
    yield "settled", _settled(life)
    yield "next", _next(life, forwarding)


def _size(life: LifeDocument) -> str:
    return f"{life['body_bytes']} bytes" if life["body_kept"] else "its body is gone, as retention wants"


def _verification(life: LifeDocument) -> str:
    if life["doubt"]:
        return f"no, and kept all the same, as enforce = false: {life['doubt']}"
    if not life["verified"]:
        return "no, by configuration"
    return f"with the secret {life['secret']}" if life["secret"] else "yes"


def _duplicates(life: LifeDocument) -> str:
    if not life["duplicates"]:
        return "none"
    return f"{life['duplicates']} absorbed, the last {report.moment(life['last_duplicate_at'])}"


def _attempt(attempt: AttemptDocument) -> str:
    answered = f"{attempt['status']} {attempt['outcome']}" if attempt["status"] else attempt["outcome"]
    told = f"{report.moment(attempt['at'])} {answered}, {attempt['duration_ms']} ms"
    return f"{told}: {attempt['detail']}" if attempt["detail"] else told


def _settled(life: LifeDocument) -> str:
    if life["settled_at"] is None:
        return ""
    took = report.duration(life["settled_at"] - life["received_at"])
    return f"{report.moment(life['settled_at'])}, {took} after it was received"


def _next(life: LifeDocument, forwarding: ForwardingDocument | None) -> str:
    """Say what happens to it from now on, when, and why not earlier."""
    match life["state"]:
        case "dead" if life["body_kept"]:
            again = f"gateway replay {shlex.quote(life['delivery_id'])}"
            return f"nothing by itself; to run it again, when what is wrong was mended: {again}"
        case "forwarded" | "skipped" | "dead":
            return "nothing; it is told of until its retention ends"
        case "leased":
            return "it is being forwarded now"
    due = f"due {report.moment(life['due_at'])}"
    if forwarding is None:
        return f"{due}; no gateway here serves the inbox, so it waits for one that does"
    if forwarding["state"] == "healthy":
        return due
    probe = f", the next probe {report.moment(forwarding['resume_at'])}" if forwarding["resume_at"] else ""
    return f"{due}; forwarding is {forwarding['state']}{probe}: {forwarding['reason']}"
