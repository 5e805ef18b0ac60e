"""What `gateway sources` tells of each secret of a source: when it was last needed, how often, and when it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gateway.admin.documents import SecretDocument
from gateway.cli import report


def sentences(secrets: Sequence[SecretDocument], now: int) -> Iterator[str]:
    """Say it of each secret where there are several, or where it ends; `now` is unix milliseconds."""
    several = len(secrets) > 1
    for secret in secrets:
        if several or secret["not_after"] is not None:
            needed = _needed(secret, now) if several else ""
            yield f"secret {secret['label']}{needed}{_ending(secret['not_after'], now)}"


def _needed(secret: SecretDocument, now: int) -> str:
    if secret["last_used_at"] is None:
        return " not needed within the retention"
    times = "once" if secret["uses"] == 1 else f"{secret['uses']} times"
    return f" last needed {report.duration(now - secret['last_used_at'])} ago, {times} within the retention"


def _ending(not_after: int | None, now: int) -> str:
    if not_after is None:
        return ""
    return f"; {'ended' if now > not_after else 'ends'} {report.moment(not_after)}"
