"""Random lives of an inbox against a model of a few lines, on every engine."""

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from gateway.errors import LeaseLost
from gateway.history import Query, Replayed
from gateway.model import Lease, Receipt, ReplayMode, Settlement, State
from tests.inbox.engines import ENGINES
from tests.inbox.samples import NOW, answered, delivery, frozen

WINDOW = 400
DIGESTS = ["", "", "aa" * 32, "bb" * 32, "cc" * 32]
DURATION = 30
LIVES = {"sqlite": 60, "postgres": 15}  # an operation takes longer where it goes over a socket
UNFINISHED = {State.PENDING, State.LEASED}


def source_of(name: str) -> str:
    """Return the source that deliveries of this name come from."""
    return "acme" if name in "abcde" else "other"


@dataclass
class Known:
    """What the model knows of one entry."""

    name: str
    due_at: int
    expires_at: int
    settled_at: int = 0
    state: State = State.PENDING
    lease: Lease | None = None
    batch: tuple[str, int] | None = None
    generation: int = 0
    body_kept: bool = True

    @property
    def source(self) -> str:
        """The source of the entry."""
        return source_of(self.name)

    def is_free(self, now: int) -> bool:
        """Tell whether a forwarder may lease the entry now."""
        expired = self.lease is not None and self.lease.until < now
        return self.state in UNFINISHED and self.due_at <= now and (self.state is State.PENDING or expired)


@dataclass
class Claim:
    """What the model knows of a delivery that re-sends are compared with."""

    name: str
    digest: str
    first_seen: int
    expires_at: int

    def is_matched(self, name: str, digest: str) -> bool:
        """Tell whether a delivery of this name and digest is a re-send."""
        same_digest = bool(digest) and (digest, source_of(name)) == (self.digest, source_of(self.name))
        return name == self.name or same_digest


@dataclass
class Model:
    """What the contract says of an inbox, slowly and plainly."""

    entries: dict[int, Known] = field(default_factory=dict)
    claims: dict[int, Claim] = field(default_factory=dict)

    def due(self, limit: int, now: int, exclude: set[str]) -> list[int]:
        """Return the keys that a lease gives now, in order."""
        members: dict[str, list[int]] = {}
        for key, known in self.entries.items():
            if known.batch:
                members.setdefault(known.batch[0], []).append(key)
        may_go = {key for key, known in self.entries.items() if known.is_free(now) and known.source not in exclude}
        whole = {batch for batch, keys in members.items() if may_go.issuperset(keys)}
        free = sorted(may_go, key=lambda key: (self.entries[key].due_at, key))
        free = [key for key in free if not (batch := self.entries[key].batch) or batch[0] in whole]
        if free and (batch := self.entries[free[0]].batch):
            return sorted(members[batch[0]], key=lambda key: self.entries[key].batch or ("", 0))
        return [key for key in free if not self.entries[key].batch][:limit]


class RandomLife(RuleBasedStateMachine):
    """Put, lease, settle, replay, prune and let time pass, and compare with the model after each step."""

    engine: str

    def __init__(self) -> None:
        super().__init__()
        self.place = tempfile.TemporaryDirectory()
        self.loop = asyncio.Runner()
        self.inbox = self.loop.run(ENGINES[self.engine](Path(self.place.name), WINDOW))
        self.now = NOW
        self.model = Model()
        self.held: list[list[Lease]] = []
        self.batches = 0

    def teardown(self) -> None:
        """Close the inbox and remove its place."""
        self.loop.run(self.inbox.close())
        self.loop.close()
        self.place.cleanup()

    @rule(milliseconds=st.sampled_from([1, 10, DURATION, DURATION + 1, WINDOW]))
    def advance(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now += milliseconds

    @rule(
        sent=st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(DIGESTS)), min_size=1, max_size=4),
        window=st.sampled_from([None, None, 5, 3 * WINDOW]),
    )
    def put(self, sent: list[tuple[str, str]], window: int | None) -> None:
        """Put deliveries; those known within the window of an entry, by id or digest, are duplicates of the oldest."""
        deliveries = [
            delivery(name, source=source_of(name), received_at=self.now, digest=digest) for name, digest in sent
        ]
        receipts = self.loop.run(self.inbox.put(deliveries, self.now, window))
        for (name, digest), receipt in zip(sent, receipts, strict=True):
            claims = {key: claim for key, claim in self.model.claims.items() if claim.expires_at >= self.now}
            matched = [key for key, claim in claims.items() if claim.is_matched(name, digest)]
            if matched:
                first = claims[min(matched)]
                known_as = first.name if first.name != name else ""
                assert receipt == Receipt(
                    min(matched), duplicate=True, first_seen_at=first.first_seen, known_as=known_as
                )
            else:
                assert (receipt.duplicate, receipt.first_seen_at) == (False, self.now)
                assert receipt.key > max(self.model.entries, default=0)
                until = self.now + (window or WINDOW)
                self.model.claims[receipt.key] = Claim(name, digest, self.now, until)
                self.model.entries[receipt.key] = Known(name, self.now, until)

    @rule(limit=st.integers(1, 4), exclude=st.sampled_from([set(), set(), {"acme"}, {"other", "nobody"}]))
    def lease(self, limit: int, exclude: set[str]) -> None:
        """Lease what the model says is due, in its order."""
        expected = self.model.due(limit, self.now, exclude)
        leases = self.loop.run(self.inbox.lease(limit, DURATION, self.now, exclude))
        assert [lease.entry.key for lease in leases] == expected
        for lease in leases:
            known = self.model.entries[lease.entry.key]
            share = lease.entry.frozen
            assert known.batch == (share and (share.batch, share.position))
            assert (lease.entry.generation, lease.entry.delivery.body) == (
                known.generation,
                delivery(known.name).body,
            )
            known.state, known.lease = State.LEASED, lease
        if leases:
            self.held.append(leases)

    @rule(
        data=st.data(), outcome=st.sampled_from(["forwarded", "skipped", "dead", "retry", "freeze"]), wait=st.just(20)
    )
    def settle(self, data: st.DataObject, outcome: str, wait: int) -> None:
        """Settle the leases of one call, held or lost."""
        if not self.held:
            return
        leases = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        self.batches += 1
        batch = f"b{self.batches}"
        settlements = [
            (lease, settlement(lease, outcome, batch, position, self.now + wait))
            for position, lease in enumerate(leases)
        ]
        answers = self.loop.run(self.inbox.settle(settlements, self.now))
        for (lease, given), answer in zip(settlements, answers, strict=True):
            known = self.model.entries.get(lease.entry.key)
            if known is None or known.lease is not lease:
                assert isinstance(answer, LeaseLost)
                continue
            assert answer is None
            known.state, known.lease, known.settled_at = given.state, None, self.now
            known.due_at = known.due_at if given.due_at is None else given.due_at
            known.batch = (given.frozen.batch, given.frozen.position) if given.frozen else None

    @rule(
        state=st.sampled_from([State.FORWARDED, State.SKIPPED, State.DEAD]),
        mode=st.sampled_from(ReplayMode),
        limit=st.integers(1, 5),
        after=st.integers(0, 3),
    )
    def replay(self, state: State, mode: ReplayMode, limit: int, after: int) -> None:
        """Take one step of a replay of what is settled in one way and still has its body."""
        entries = self.model.entries
        matching = [key for key in sorted(entries) if entries[key].state is state and entries[key].body_kept]
        matching = [key for key in matching if key > after]
        chosen, query = matching[:limit], Query(state=state, limit=limit, after=after)
        assert self.loop.run(self.inbox.count(query)) == len(matching)
        step = self.loop.run(self.inbox.replay(query, mode, self.now))
        assert step == Replayed(len(chosen), chosen[-1] if chosen else after)
        for known in (entries[key] for key in chosen):
            known.state, known.due_at = State.PENDING, self.now
            known.generation += mode is ReplayMode.RERUN

    @rule(bodies_age=st.sampled_from([0, 50, WINDOW]))
    def prune(self, bodies_age: int) -> None:
        """Take retention to its end."""
        bodies_before = self.now - bodies_age
        while self.loop.run(self.inbox.prune(bodies_before, self.now, limit=2)):
            pass
        for key, known in list(self.model.entries.items()):
            if known.state in UNFINISHED:
                continue
            known.body_kept = known.body_kept and known.settled_at >= bodies_before
            if not known.body_kept and known.expires_at < self.now:
                del self.model.entries[key]

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        """Entry by entry, the inbox and the model agree."""
        histories = self.loop.run(self.inbox.search(Query(limit=999)))
        seen = {history.entry.key: (history.entry.state, history.body_kept) for history in histories}
        assert seen == {key: (known.state, known.body_kept) for key, known in self.model.entries.items()}


def settlement(lease: Lease, outcome: str, batch: str, position: int, due_at: int) -> Settlement:
    """Make the settlement that an outcome means."""
    match outcome:
        case "retry":
            return answered(lease, state=State.PENDING, due_at=due_at)
        case "freeze":
            return frozen(lease, batch, position, due_at)
    return answered(lease, state=State(outcome))


@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_random_lives_follow_the_model(engine: str) -> None:
    """Whatever happens in whatever order, receipts, leases, states and retention are as the contract says."""

    class Life(RandomLife):
        """The random life of this engine."""

    Life.engine = engine
    run_state_machine_as_test(
        Life, settings=settings(max_examples=LIVES[engine], stateful_step_count=40, deadline=None)
    )


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("engine", sorted(ENGINES))
def test_very_many_random_lives(engine: str) -> None:
    """The same, ten times as often."""

    class Life(RandomLife):
        """The random life of this engine."""

    Life.engine = engine
    run_state_machine_as_test(
        Life, settings=settings(max_examples=LIVES["sqlite"] * 10, stateful_step_count=40, deadline=None)
    )
