"""The give-up clock: while deliveries are refused, when the provider drops them or ends the subscription. Pure.

It goes by what the catalogue knows of the provider: how long it sends again, and what disables an endpoint.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.moment import utc
from gateway.providers import Retries

HOUR_MS = 3_600_000
# A source of which nothing came for so long, neither refused nor accepted, has no clock any more.
FORGOTTEN_MS = 7 * 24 * HOUR_MS
# What anybody sends who only found the URL; a provider that signs does not stop to.
OF_STRANGERS = frozenset(
    {
        *("unknown_source", "address_refused", "method_not_allowed", "signature_missing"),
        *("handshake_malformed", "handshakes_too_many", "handshake_refused"),
    }
)


@dataclass(frozen=True, slots=True)
class Refusing:
    """What a source's provider was refused since its last success. Times are unix milliseconds.

    `lost` are those of `count` that never come again, the first of them at `lost_at`. `status` and `reason` are those
    of the last.
    """

    since: int
    last_at: int
    count: int
    status: int
    reason: str
    lost: int = 0
    lost_at: int | None = None


@dataclass(frozen=True, slots=True)
class GiveUp:
    """When the provider gives up (unix ms): the first delivery is dropped, the subscription ends; None if not known."""

    drops_at: int | None
    disables_at: int | None
    sentence: str

    def seconds(self, now: int) -> float | None:
        """Return the time left until the first of both, 0 where it has passed; None where neither is known."""
        known = [at for at in (self.drops_at, self.disables_at) if at is not None]
        return max(0, min(known) - now) / 1000 if known else None


def refused(before: Refusing | None, retries: Retries, *, at: int, status: int, reason: str) -> Refusing:
    """Return the record after one more refusal."""
    if before is None or at - before.last_at > FORGOTTEN_MS:
        before = Refusing(at, at, 0, status, reason)
    after = replace(before, last_at=max(at, before.last_at), count=before.count + 1, status=status, reason=reason)
    if retries.horizon_hours == 0 or not retries.sends_again(status):
        return replace(after, lost=before.lost + 1, lost_at=at if before.lost_at is None else before.lost_at)
    return after


def clock(refusing: Refusing, retries: Retries, now: int) -> GiveUp:
    """Return when the provider gives up, if it is refused from now on as it was so far."""
    drops_at = refusing.lost_at
    if drops_at is None and retries.horizon_hours is not None:
        drops_at = refusing.since + int(retries.horizon_hours * HOUR_MS)
    disables_at = _disables_at(refusing, retries)
    said = [_so_far(refusing), _dropping(refusing, drops_at, now), _disabling(retries, disables_at, now)]
    return GiveUp(drops_at, disables_at, "; ".join(filter(None, said)))


def _disables_at(refusing: Refusing, retries: Retries) -> int | None:
    """Return when the subscription ends; a number of failures is reached at the pace of those so far."""
    found = []
    if retries.disables_after_hours is not None:
        found.append(refusing.since + int(retries.disables_after_hours * HOUR_MS))
    if retries.disables_after_failures is not None:
        left = max(0, retries.disables_after_failures - refusing.count)
        if left == 0 or refusing.count > 1:
            pace = (refusing.last_at - refusing.since) / max(1, refusing.count - 1)
            found.append(refusing.last_at + int(left * pace))
    return min(found, default=None)


def _so_far(refusing: Refusing) -> str:
    times = "once" if refusing.count == 1 else f"{refusing.count} times"
    return f"refused {times} since {utc(refusing.since)}, the last with {refusing.status} {refusing.reason}"


def _dropping(refusing: Refusing, drops_at: int | None, now: int) -> str:
    if refusing.lost:
        return "it is not sent again" if refusing.lost == refusing.count == 1 else f"{refusing.lost} not sent again"
    if drops_at is None:
        return "how long the provider sends again is not known"
    if drops_at <= now:
        return f"the first came no more after {utc(drops_at)}"
    return f"the first comes no more after {utc(drops_at)}"


def _disabling(retries: Retries, disables_at: int | None, now: int) -> str:
    if disables_at is None:
        return f"the subscription ends after: {retries.disables}" if retries.disables else ""
    ends = "may have ended" if disables_at <= now else "ends"
    return f"the subscription {ends} about {utc(disables_at)}: {retries.disables}"
