"""A SQLite inbox in which there is some of everything, filled through its public methods; and all of an inbox, read."""

from __future__ import annotations

import gzip
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gateway.history import Counts, EventName, History, Query
from gateway.inbox.contract import Inbox
from gateway.inbox.sqlite import SqliteInbox
from gateway.model import Attempt, Entry, Lease, ReplayMode, SentEvent, Settlement, State, TransformRun
from tests.inbox.engines import DAY
from tests.inbox.samples import LEASE, answered, delivery, frozen

WINDOW = 7 * DAY
PACKED = gzip.compress(b'{"packed": true}')
ODD = {"x-odd": 'na\u00efve \u00ff\u20ac "quoted" \\', "x-empty": "", "x-nul": "a\x00b\x1ac"}


async def fill(path: Path, now: int) -> None:
    """Fill a file with lives of the last twenty days before `now` (unix ms), and leave two of them leased."""
    inbox = SqliteInbox.open(path, dedupe_window_ms=WINDOW)
    await _old(inbox, now - 20 * DAY)
    await _finished(inbox, now - 3 * DAY)
    await _strange(inbox, now - 2 * DAY)
    await _waiting(inbox, now - 60_000)
    await inbox.put([delivery("leased_1", received_at=now), delivery("leased_2", received_at=now)], now)
    assert len(await inbox.lease(100, LEASE, now)) == 2
    await inbox.close()


async def _old(inbox: SqliteInbox, at: int) -> None:
    """Keep what retention has taken in part: bodies, and ids of which the window is over."""
    await _settle(inbox, ["old_narrow", "old_again"], at, window=30 * DAY)
    await inbox.prune(at + DAY, at + DAY)
    await _settle(inbox, ["old_forgotten"], at + DAY, window=1)
    await _settle(inbox, ["short"], at + DAY, window=DAY)
    await _settle(inbox, ["short"], at + 3 * DAY)  # another delivery, as the first one's window is over
    await inbox.prune(at, at + 3 * DAY)


async def _settle(inbox: SqliteInbox, names: Sequence[str], at: int, window: int = WINDOW, **fields: Any) -> None:
    await inbox.put([delivery(name, received_at=at) for name in names], at, window)
    leases = await inbox.lease(100, LEASE, at)
    await inbox.settle([(lease, answered(lease, at + 5, **fields)) for lease in leases], at + 5)


async def _finished(inbox: SqliteInbox, at: int) -> None:
    await _settle(inbox, ["forwarded"], at, transform=TransformRun("acme:transform", 1.25))
    await inbox.put([delivery("forwarded")], at + 10)  # a re-send
    await inbox.put([delivery("late")], at)
    [lease] = await inbox.lease(1, LEASE, at)
    failed = Attempt(1, at, 30, "refused", 503, "Service \u00dcnavailable")
    retry = Settlement(State.PENDING, reason="503", due_at=at + 1_000, attempt=failed, rejections=1, rejected_at=at)
    await inbox.settle([(lease, retry)], at)
    [lease] = await inbox.lease(1, LEASE, at + 1_000)
    await inbox.settle([(lease, answered(lease, at + 1_000))], at + 1_000)
    await _settle(inbox, ["skipped"], at, state=State.SKIPPED, reason="not an order", attempt=None, events=())
    await _settle(inbox, ["dead", "sent_again", "rerun"], at, state=State.DEAD, reason="KeyError: 'id'")
    await inbox.replay(Query(id="sent_again"), ReplayMode.RESEND, at + 2_000)
    [lease] = await inbox.lease(1, LEASE, at + 2_000)
    await inbox.settle([(lease, answered(lease, at + 2_000))], at + 2_000)


async def _strange(inbox: SqliteInbox, at: int) -> None:
    """Keep bodies, headers, ids and events of every kind."""
    trace = f"00-{'ab' * 16}-{'cd' * 8}-01"
    await inbox.put(
        [
            delivery("empty", body=b"", received_at=at),
            delivery("bytes", body=bytes(range(256)) * 4, headers=ODD, query="a=%00&b", received_at=at),
            delivery("large", body=b"x\x00" * (1 << 19), source="other", received_at=at),
            delivery("packed", body=PACKED, content=b'{"packed": true}', headers={"content-encoding": "gzip"}),
            delivery("told", body=b"signed", content=b"what it means", received_at=at),
            delivery("nul\x00and\x1asub", type="a\x00b", source="od\x00d", received_at=at),
            delivery("l" * 3_000, traceparent=trace, time=at, version="2026-01", received_at=at),
            delivery("digest", digest="ab" * 32, received_at=at),
            delivery("unverified:x", verified=False, doubt="the signature is missing", received_at=at),
        ],
        at,
    )
    await inbox.put([delivery("secret", source="two", secret="secrets[1]", received_at=at)], at, count_secrets=True)
    await inbox.put([delivery("secret", source="two", secret="secrets[0]", received_at=at)], at, count_secrets=True)
    events = (SentEvent("own\x00id", "acme/one", "01A"), SentEvent("acme:x:2", "acme/two", ""))
    leases = await inbox.lease(100, LEASE, at)
    await inbox.settle([(lease, answered(lease, at, events=events)) for lease in leases], at)


async def _waiting(inbox: SqliteInbox, at: int) -> None:
    """Keep what is not finished: never tried, tried, to be run again, and a batch whose fate is unknown."""
    await inbox.put([delivery("batch_1"), delivery("batch_2"), delivery("retry")], at)
    leases = await inbox.lease(100, LEASE, at)
    again = Settlement(State.PENDING, reason="503", due_at=at + DAY, attempt=Attempt(1, at, 5, "refused", 503))
    await inbox.settle([(lease, _fate(lease, at, again)) for lease in leases], at)
    await inbox.put([delivery("new", received_at=at, body=b'{"id":"new"}')], at + DAY // 2)
    await inbox.replay(Query(id="rerun"), ReplayMode.RERUN, at + DAY // 2)


def _fate(lease: Lease, at: int, again: Settlement) -> Settlement:
    name = lease.entry.delivery.id
    return frozen(lease, "b1", int(name[-1]) - 1, at + DAY) if name.startswith("batch") else again


async def everything(inbox: Inbox) -> list[History]:
    """Return all histories with their bodies, newest first, as they are told but for keys and leases."""
    found = await inbox.search(Query(limit=100_000))
    return [_without_key(history) for each in found if (history := await inbox.get(each.entry.key))]


async def stored(inbox: Inbox) -> list[Entry]:
    """Return the entries that have their body, in the order of their keys."""
    found: list[Entry] = []
    while step := await inbox.stored(Query(limit=7, after=found[-1].key if found else 0)):
        found += step
    return [_entry_without_key(entry) for entry in found]


async def told(inbox: Inbox) -> tuple[Counts, list[EventName]]:
    """Return counts and names of events, but for keys and leases."""
    counts = await inbox.counts()
    states: dict[str, dict[State, int]] = {}
    for source, by_state in counts.by_source.items():
        for state, number in by_state.items():
            of_source, unleased = states.setdefault(source, {}), _unleased(state)
            of_source[unleased] = of_source.get(unleased, 0) + number
    names = (await inbox.event_names("", 0, 1_000)).names
    return replace(counts, by_source=states), sorted(
        (replace(name, key=0) for name in names), key=lambda name: (name.source, name.name)
    )


def _without_key(history: History) -> History:
    return replace(history, entry=_entry_without_key(history.entry))


def _entry_without_key(entry: Entry) -> Entry:
    return replace(entry, key=0, state=_unleased(entry.state))


def _unleased(state: State) -> State:
    return State.PENDING if state is State.LEASED else state


def today() -> int:
    """Return the time (unix ms), which the database's clock tells too."""
    return int(time.time() * 1_000)
