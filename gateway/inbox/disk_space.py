"""How much space the inbox's disk has left, and what that means for intake: alarm first, refuse last."""

from __future__ import annotations

import contextlib
import enum
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

GIB = 1 << 30
MIB = 1 << 20

# A share of the disk alone would refuse everything on a large disk with hundreds of GiB left, so the two lower levels
# also need little space in absolute terms: what a busy inbox writes in hours, and in minutes.
_FULL_SHARE, _FULL_BYTES = 0.02, GIB
_SCARCE_SHARE, _SCARCE_BYTES = 0.05, 4 * GIB
_LOW_SHARE, _LOW_BYTES = 0.10, GIB

REFRESH_SECONDS = 1.0


class SpaceLevel(enum.IntEnum):
    """What the free space allows: OK; LOW alarms; SCARCE refuses those who come back; FULL refuses everybody."""

    OK = 0
    LOW = 1
    SCARCE = 2
    FULL = 3


@dataclass(frozen=True, slots=True)
class Space:
    """The bytes that this user may still write on a disk, and the size of that disk in bytes."""

    free: int
    total: int

    @property
    def level(self) -> SpaceLevel:
        """What this much space allows."""
        share = self.free / self.total if self.total else 1.0
        if share < _FULL_SHARE and self.free < _FULL_BYTES:
            return SpaceLevel.FULL
        if share < _SCARCE_SHARE and self.free < _SCARCE_BYTES:
            return SpaceLevel.SCARCE
        return SpaceLevel.LOW if share < _LOW_SHARE or self.free < _LOW_BYTES else SpaceLevel.OK

    def __str__(self) -> str:
        share = 100 * self.free / self.total if self.total else 100
        return f"{self.free // MIB} MiB ({share:.1f} %)"


def measure(path: Path) -> Space:
    """Ask the kernel about the disk that holds `path`. Raises OSError."""
    stat = os.statvfs(path)
    return Space(stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize)


class SpaceGauge:
    """The space of one disk as it was at most a second ago, as long as `refresh` is called."""

    def __init__(self, measured: Callable[[], Space], clock: Callable[[], float]) -> None:
        self.space = measured()
        self._measured = measured
        self._clock = clock
        self._at = clock()

    def refresh(self) -> None:
        """Measure again when the last time is a second ago; a disk that cannot be asked keeps its last answer."""
        now = self._clock()
        if now - self._at >= REFRESH_SECONDS:
            self._at = now
            with contextlib.suppress(OSError):
                self.space = self._measured()
