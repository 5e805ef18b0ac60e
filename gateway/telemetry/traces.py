"""Trace identity: every request gets a trace of its own, whatever its sender claims."""

from __future__ import annotations

import random


def new_traceparent(rng: random.Random) -> str:
    """Return a W3C traceparent with fresh ids, not sampled. https://www.w3.org/TR/trace-context/#traceparent-header."""
    return f"00-{rng.getrandbits(128) or 1:032x}-{rng.getrandbits(64) or 1:016x}-00"
