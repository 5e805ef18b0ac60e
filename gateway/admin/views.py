"""What an inbox tells, as documents: the same for the admin listener that serves it and for a command that reads it."""

from __future__ import annotations

from dataclasses import replace

from gateway.admin.documents import (
    BacklogDocument,
    CountsDocument,
    DeliveriesDocument,
    DeliveryDocument,
    ForwardingDocument,
    LifeDocument,
    LivesDocument,
    PercentilesDocument,
    StatsDocument,
)
from gateway.history import History, Query
from gateway.inbox.contract import Inbox
from gateway.lane import Lane
from gateway.model import State
from gateway.rates import Percentiles, rates

MOST_SETTLED = 10_000
WINDOW_SECONDS = 60


async def deliveries(inbox: Inbox, query: Query) -> DeliveriesDocument:
    """Return a page of deliveries, and where the next one begins if there is one."""
    found = await inbox.search(replace(query, limit=query.limit + 1))
    page = found[: query.limit]
    last = page[-1].entry if len(found) > len(page) else None
    after = f"{last.delivery.received_at}.{last.key}" if last else None
    return {"deliveries": [delivery(history) for history in page], "next": after}


async def lives(inbox: Inbox, identifier: str, lane: Lane | None = None) -> LivesDocument:
    """Return the lives of the deliveries that an id of any kind belongs to; `lane` is how forwarding stands."""
    found = [await inbox.get(match.entry.key) for match in await inbox.search(Query(id=identifier))]
    return {"deliveries": [_life(history) for history in found if history], "forwarding": forwarding(lane)}


async def counts(inbox: Inbox) -> CountsDocument:
    """Return how many entries there are."""
    counted = await inbox.counts()
    return {
        "by_source": {
            source: {state.value: number for state, number in states.items()}
            for source, states in counted.by_source.items()
        },
        "duplicates": dict(counted.duplicates),
        "last_received_at": dict(counted.last_received_at),
        "oldest_pending_at": counted.oldest_pending_at,
    }


async def stats(inbox: Inbox, now: int, seconds: int = WINDOW_SECONDS, lane: Lane | None = None) -> StatsDocument:
    """Return the rates of the last so many seconds before `now` (unix ms), and what waits."""
    since = now - seconds * 1000
    found = rates(await inbox.activity(since, MOST_SETTLED), now, since, MOST_SETTLED)
    return {
        "at": now,
        "window_seconds": found.seconds,
        "received_per_second": sum(found.received.values()),
        "settled_per_second": {state.value: rate for state, rate in found.settled.items()},
        "by_source": dict(found.received),
        "end_to_end_ms": _percentiles(found.end_to_end),
        "attempt_ms": _percentiles(found.attempts),
        "backlog": {
            source: BacklogDocument(waiting=waiting.count, oldest_at=waiting.oldest_at)
            for source, waiting in sorted(found.waiting.items())
        },
        "forwarding": forwarding(lane),
    }


def forwarding(lane: Lane | None) -> ForwardingDocument | None:
    """Return how the lane stands; None without one."""
    if lane is None:
        return None
    return {"state": lane.state, "reason": lane.reason, "resume_at": lane.resume_at or None}


def delivery(history: History) -> DeliveryDocument:
    """Return what became of a delivery."""
    entry, found = history.entry, history.entry.delivery
    run = history.transform
    return {
        "key": entry.key,
        "source": found.source,
        "provider": found.provider,
        "delivery_id": found.id,
        "type": found.type,
        "received_at": found.received_at,
        "state": entry.state.value,
        "reason": entry.reason,
        "due_at": entry.due_at if entry.state is State.PENDING else None,
        "settled_at": history.settled_at,
        "generation": entry.generation,
        "duplicates": history.duplicates,
        "last_duplicate_at": history.last_duplicate_at,
        "secret": found.secret,
        "verified": found.verified,
        "doubt": found.doubt,
        "traceparent": found.traceparent,
        "trace_id": found.traceparent.split("-")[1] if found.traceparent.count("-") else "",
        "body_kept": history.body_kept,
        "transform": {"reference": run.reference, "ms": run.ms} if run else None,
        "attempts": [
            {
                "number": attempt.number,
                "at": attempt.at,
                "duration_ms": attempt.duration_ms,
                "outcome": attempt.outcome,
                "status": attempt.status,
                "detail": attempt.detail,
            }
            for attempt in history.attempts
        ],
        "events": [
            {"id": event.id, "name": event.name, "event_api_id": event.event_api_id} for event in history.events
        ],
    }


def _life(history: History) -> LifeDocument:
    return {**delivery(history), "body_bytes": len(history.entry.delivery.body) if history.body_kept else None}


def _percentiles(found: Percentiles | None) -> PercentilesDocument | None:
    return {"p50": found.p50, "p90": found.p90, "p99": found.p99, "max": found.max} if found else None
