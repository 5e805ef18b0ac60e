"""What becomes of each entry of a batch once its answer has been judged. Pure."""

from __future__ import annotations

from gateway.batch import Batch, Member, Settled
from gateway.model import Attempt, Frozen, Lease, Settlement, State
from gateway.outcome import Rest, Verdict, refuse
from gateway.value import value

_FORWARDED = State.FORWARDED  # a look-up in an enumeration is a call, and every webhook's


@value
class Sent:
    """A batch that was sent: its verdict, the ids returned, whether one request held it all, and when (unix ms)."""

    verdict: Verdict
    ids: tuple[str, ...]
    whole: bool
    status: int | None
    started_at: int
    duration_ms: int


def resolve(batch: Batch, sent: Sent, now: int, last_success: int | None) -> tuple[Settled, list[tuple[Member, ...]]]:
    """Return what is settled, and the groups that are to be sent again at once under seeds of their own."""
    settled, rest = _accepted(batch, sent)
    verdict = sent.verdict
    if not rest:
        return settled, []
    first = len(batch.members) - len(rest)
    match verdict.rest:
        case Rest.SPLIT | Rest.REFUSED | Rest.DEAD if len(batch.members) > 1:
            return settled, _apart(rest)
        case Rest.SPLIT | Rest.REFUSED:
            return [*settled, (rest[0].lease, _refused(rest[0], sent, now, last_success))], []
        case Rest.DEAD:
            return [*settled, (rest[0].lease, _settlement(State.DEAD, rest[0], sent))], []
    freeze = verdict.rest is Rest.FROZEN and sent.whole and not first
    for position, member in enumerate(rest):
        share = batch.share(position) if freeze else _kept_share(batch, member)
        settled.append((member.lease, _settlement(State.PENDING, member, sent, due_at=now, frozen=share)))
    return settled, []


def _kept_share(batch: Batch, member: Member) -> Frozen | None:
    """Return the entry's share of a frozen batch that is to go again; what was split off has left it."""
    frozen = member.lease.entry.frozen
    return frozen if frozen and frozen.batch == batch.name else None


def suspect(batch: Batch, sent: Sent) -> Member | None:
    """Return the entry that the event API refused; None when it refused none."""
    if sent.verdict.rest not in {Rest.SPLIT, Rest.REFUSED}:
        return None
    _, rest = _accepted(batch, sent)
    return rest[0] if rest else None


def unsent(lease: Lease, *, due_at: int, reason: str, frozen: Frozen | None = None) -> tuple[Lease, Settlement]:
    """Give a lease back without an attempt; what is known of the entry's refusals stays."""
    entry = lease.entry
    return lease, Settlement(
        State.PENDING,
        reason=reason,
        due_at=due_at,
        rejections=entry.rejections,
        rejected_at=entry.rejected_at,
        frozen=frozen,
    )


def put_off(batch: Batch, due_at: int, reason: str) -> Settled:
    """Give a batch back that was not sent; a frozen one stays as it is."""
    return [
        unsent(member.lease, due_at=due_at, reason=reason, frozen=_kept_share(batch, member))
        for member in batch.members
    ]


def _apart(rest: tuple[Member, ...]) -> list[tuple[Member, ...]]:
    """Split what follows a refusal: other sources' entries, the rest of the suspect's source, and the suspect last.

    The suspect comes last so that, when it is refused alone, it is known whether others succeed.
    """
    suspect, others = rest[0], rest[1:]
    source = suspect.lease.entry.delivery.source
    strangers = tuple(member for member in others if member.lease.entry.delivery.source != source)
    siblings = tuple(member for member in others if member.lease.entry.delivery.source == source)
    return [group for group in (strangers, siblings, (suspect,)) if group]


def _accepted(batch: Batch, sent: Sent) -> tuple[Settled, tuple[Member, ...]]:
    """Settle the entries whose events are all in; return them and the entries that remain."""
    settled: Settled = []
    attempts: dict[int, Attempt] = {}  # nearly always one for all
    offset = 0
    for position, member in enumerate(batch.members):
        end = offset + len(member.events)
        if end > sent.verdict.accepted:
            return settled, batch.members[position:]
        entry = member.lease.entry
        attempt = attempts.get(entry.attempts)
        if attempt is None:
            attempt = attempts[entry.attempts] = _attempt(member, sent, "accepted", "")
        ids = sent.ids[offset:end]
        known = entry.rejections, entry.rejected_at
        settled.append(
            (member.lease, Settlement(_FORWARDED, "", None, attempt, member.sent(ids), *known, None, member.transform))
        )
        offset = end
    return settled, ()


def _refused(member: Member, sent: Sent, now: int, last_success: int | None) -> Settlement:
    """Count the refusal of an entry that was alone, and give it up when that is its own fault."""
    refusal = refuse(member.lease.entry, now, last_success)
    state = State.DEAD if refusal.due_at is None else State.PENDING
    return _settlement(
        state,
        member,
        sent,
        due_at=refusal.due_at,
        rejections=refusal.rejections,
        rejected_at=now,
    )


def _settlement(
    state: State,
    member: Member,
    sent: Sent,
    *,
    due_at: int | None = None,
    rejections: int | None = None,
    rejected_at: int | None = None,
    frozen: Frozen | None = None,
) -> Settlement:
    """Say what becomes of an entry whose events were not all taken."""
    verdict, entry = sent.verdict, member.lease.entry
    return Settlement(
        state=state,
        reason=": ".join(filter(None, (verdict.label, verdict.detail))),
        due_at=due_at,
        attempt=_attempt(member, sent, verdict.label, verdict.detail),
        events=member.sent(),
        transform=member.transform,
        rejections=entry.rejections if rejections is None else rejections,
        rejected_at=entry.rejected_at if rejections is None else rejected_at,
        frozen=frozen,
    )


def _attempt(member: Member, sent: Sent, outcome: str, detail: str) -> Attempt:
    return Attempt(member.lease.attempt, sent.started_at, sent.duration_ms, outcome, sent.status, detail)
