"""What the torture runs on: the machine, and how long its disk takes for an fsync."""

from __future__ import annotations

import os
import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

from gateway.torture.disk import sqlite_version

SYNCS = 200
BLOCK = bytes(4_096)

_CPUS = Path("/proc/cpuinfo")


@dataclass(frozen=True, slots=True)
class Fsync:
    """How long fsyncs of 4 KiB took, in milliseconds."""

    median_ms: float
    p99_ms: float
    slowest_ms: float
    count: int = SYNCS


def measure_fsync(folder: Path) -> Fsync:
    """Append and fsync blocks to a file of its own in the folder. Raises OSError."""
    path = folder / "fsync"
    durations = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        for _ in range(SYNCS):
            os.write(descriptor, BLOCK)
            begun = time.perf_counter()
            os.fsync(descriptor)
            durations.append((time.perf_counter() - begun) * 1000)
    finally:
        os.close(descriptor)
        path.unlink()
    hundredths = statistics.quantiles(durations, n=100)
    return Fsync(round(statistics.median(durations), 3), round(hundredths[98], 3), round(max(durations), 3))


def describe() -> dict[str, str | int]:
    """Return what a reader needs to compare figures with those of another machine."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "processors": os.cpu_count() or 1,
        "python": platform.python_version(),
        "sqlite": sqlite_version(),
    }


def _processor() -> str:
    lines = _CPUS.read_text().splitlines() if _CPUS.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
