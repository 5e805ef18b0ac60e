"""Compare the two witnesses and what is left in the inbox. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway.model import State
from gateway.torture.oracle import Accepted, Answered

Identity = tuple[str, str]
"""The source and the delivery id."""

UNFINISHED = frozenset({State.PENDING, State.LEASED})


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of everything that was sent. The five tuples of sentences must be empty."""

    requests: int
    acknowledged: int
    events: int
    ids: int
    waiting: int
    lost: tuple[str, ...]
    different_bytes: tuple[str, ...]
    several_ids: tuple[str, ...]
    unverified: tuple[str, ...]
    dead: tuple[str, ...]

    @property
    def duplicates(self) -> int:
        """How many events came again; at least once is the promise, so this is no fault."""
        return self.events - self.ids

    @property
    def violations(self) -> list[str]:
        """All that must not have happened, one sentence each."""
        return [*self.lost, *self.different_bytes, *self.several_ids, *self.unverified, *self.dead]


def judge(answered: Iterable[Answered], accepted: Iterable[Accepted], unforwarded: Mapping[Identity, State]) -> Verdict:
    """Judge one gateway: its providers' answers, its event API's events, and its entries that are not forwarded."""
    answers, events = list(answered), list(accepted)
    genuine = {(answer.source, answer.delivery): answer.payload for answer in answers if answer.kind == "genuine"}
    acknowledged = {(answer.source, answer.delivery) for answer in answers if answer.genuinely_acknowledged}
    bytes_of, ids_of = defaultdict[str, set[str]](set), defaultdict[Identity, set[str]](set)
    for event in events:
        bytes_of[event.event].add(event.sha256)
        ids_of[identity(event.event)].add(event.event)
    missing = acknowledged - ids_of.keys()
    waiting = {one for one in missing if unforwarded.get(one) in UNFINISHED}
    dead = {one for one, state in unforwarded.items() if state is State.DEAD}
    return Verdict(
        requests=len(answers),
        acknowledged=len(acknowledged),
        events=len(events),
        ids=len(bytes_of),
        waiting=len(waiting),
        lost=tuple(f"acknowledged and lost: {_name(one)}" for one in sorted(missing - waiting - dead)),
        different_bytes=tuple(f"one id, several bytes: {id_}" for id_, seen in bytes_of.items() if len(seen) > 1),
        several_ids=tuple(f"one delivery, several ids: {_name(one)}" for one, ids in ids_of.items() if len(ids) > 1),
        unverified=(*_unverified_answers(answers), *_unverified_events(events, genuine)),
        dead=tuple(f"dead letter: {_name(one)}" for one in sorted(dead)),
    )


def identity(event_id: str) -> Identity:
    """Return the source and delivery id that an event id `<source>:<delivery id>:<type>` tells."""
    source, _, rest = event_id.partition(":")
    return source, rest.rpartition(":")[0]


def _unverified_answers(answers: Iterable[Answered]) -> list[str]:
    return [
        f"acknowledged though {answer.kind}: {answer.source} {answer.delivery}"
        for answer in answers
        if answer.kind != "genuine" and answer.acknowledged
    ]


def _unverified_events(events: Iterable[Accepted], genuine: Mapping[Identity, str]) -> list[str]:
    return [
        f"forwarded and not what the provider sent: {event.event}"
        for event in events
        if genuine.get(identity(event.event)) != event.payload
    ]


def _name(one: Identity) -> str:
    return " ".join(one)
