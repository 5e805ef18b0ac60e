"""What a replay would run: which entries the ids and filters mean, and why others are left."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

from gateway.errors import ConfigError
from gateway.history import History, Query
from gateway.inbox.contract import Inbox
from gateway.model import State
from gateway.replay import count_by_source

MOST_PER_ID = 1_000


@dataclass(frozen=True, slots=True)
class Plan:
    """The queries to walk, how many entries that is of each source, and a sentence for each named entry left out."""

    queries: list[Query] = field(default_factory=list)
    by_source: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        """How many entries would run."""
        return sum(self.by_source.values())


async def plan(inbox: Inbox, ids: list[str], wanted: Query) -> Plan:
    """Say what would run. Raises ConfigError with a sentence for each id that nothing in the inbox has."""
    if ids:
        return await _plan_ids(inbox, ids, wanted)
    by_source = await count_by_source(inbox, wanted)
    return Plan([replace(wanted, limit=sum(by_source.values()))], by_source)


async def _plan_ids(inbox: Inbox, ids: list[str], wanted: Query) -> Plan:
    """Find each named entry, so that one that is named twice, or by several of its ids, runs once."""
    anywhere = replace(wanted, state=None, after=0, limit=MOST_PER_ID)
    found = {identifier: await inbox.search(replace(anywhere, id=identifier)) for identifier in ids}
    if unknown := [identifier for identifier, matches in found.items() if not matches]:
        narrowed = " that also matches the other options" if anywhere != Query(limit=MOST_PER_ID) else ""
        sentence = "nothing in the inbox has this as its delivery, event or trace id"
        raise ConfigError([f"{identifier}: {sentence}{narrowed}" for identifier in unknown])
    entries = {match.entry.key: match for matches in found.values() for match in matches}
    named = [entries[key] for key in sorted(entries) if key > wanted.after]
    taken = [match for match in named if not _why_left(match, wanted)]
    return Plan(
        queries=[_only(match, wanted) for match in taken],
        by_source=dict(sorted(Counter(match.entry.delivery.source for match in taken).items())),
        notes=[why for match in named if (why := _why_left(match, wanted))],
    )


def _only(match: History, wanted: Query) -> Query:
    delivery = match.entry.delivery
    return replace(wanted, id=delivery.id, source=delivery.source, after=match.entry.key - 1, limit=1)


def _why_left(match: History, wanted: Query) -> str:
    """Return why a named entry does not run, empty where it does."""
    entry = match.entry
    which = f"{entry.delivery.source} {entry.delivery.id}"
    if entry.state in {State.PENDING, State.LEASED}:
        return f"{which} is {entry.state}: it is going to be forwarded without a replay"
    if not match.body_kept:
        return f"{which} cannot run again: its body is gone, as inbox.retention_days have passed"
    if entry.state is not wanted.state:
        return f"{which} is {entry.state}, not {wanted.state}; to run it again, add --state {entry.state}"
    return ""
