"""Group what the quarantine holds by source and cause, the most frequent first."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gateway.diagnosis import Cause, Finding
from gateway.quarantine import Held, Sample

_UNDIAGNOSED = Finding(
    Cause.UNKNOWN,
    "too much was rejected at that moment to look into each",
    "see the other causes, which are those of the same flood",
)


@dataclass(frozen=True, slots=True)
class Group:
    """Rejections of one source for one cause. Times are unix milliseconds.

    `samples` of them were kept; `counted` is how many the source rejected with this label in all, whatever the cause.
    `request` is what the newest looked like.
    """

    source: str
    label: str
    sentence: str
    finding: Finding
    others: tuple[Finding, ...]
    samples: int
    counted: int
    first_at: int
    last_at: int
    request: dict[str, Any]


def group(held: Held, source: str, since: int) -> list[Group]:
    """Return the causes of what was rejected at or after `since`, of one source or of all, most samples first."""
    found: dict[tuple[str, str, str], list[Sample]] = {}
    for kept in held.samples:
        if kept.at >= since and source in {"", kept.source}:
            found.setdefault((kept.source, kept.label, _first(kept).cause), []).append(kept)
    counted = {(tally.source, tally.label): tally.count for tally in held.tallies}
    groups = [_group(samples, counted.get(key[:2], 0)) for key, samples in found.items()]
    return sorted(groups, key=lambda one: (-one.samples, -one.last_at))


def _group(samples: Iterable[Sample], counted: int) -> Group:
    ordered = sorted(samples, key=lambda kept: kept.at)
    newest = ordered[-1]
    return Group(
        source=newest.source,
        label=newest.label,
        sentence=newest.sentence,
        finding=_first(newest),
        others=newest.findings[1:],
        samples=len(ordered),
        counted=max(counted, len(ordered)),
        first_at=ordered[0].at,
        last_at=newest.at,
        request={
            "method": newest.method,
            "path": newest.path,
            "headers": newest.headers,
            "body_bytes": newest.body_bytes,
            "body_sha256": newest.body_sha256,
        },
    )


def _first(kept: Sample) -> Finding:
    return kept.findings[0] if kept.findings else _UNDIAGNOSED
