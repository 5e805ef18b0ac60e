"""The quarantine's file: lines of JSON, appended in batches and rewritten when it has grown; read by anybody meanwhile.

What is torn by a crash is one line at the end, which readers skip and the next start cuts off.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from gateway.quarantine import sample, tally
from gateway.quarantine.ring import TOTAL_BYTES, Ring
from gateway.quarantine.sample import Sample
from gateway.quarantine.tally import MOST_TALLIES, Tally

SLACK_BYTES = 1_048_576
KEPT_MS = 30 * 86_400_000
MAX_FILE_BYTES = 2 * TOTAL_BYTES + 4 * SLACK_BYTES


@dataclass(frozen=True, slots=True)
class Held:
    """What a quarantine holds: samples, oldest first, and tallies."""

    samples: tuple[Sample, ...] = ()
    tallies: tuple[Tally, ...] = ()


def path_of(inbox: Path, worker: int = 0) -> Path:
    """Return where the quarantine of an inbox file is, or the part of it that one of several workers writes."""
    return inbox.with_name(f"{inbox.name}.worker-{worker}.rejected" if worker else f"{inbox.name}.rejected")


def read(path: Path) -> Held:
    """Return what is in the file and in those of workers beside it, nothing where there is none. Raises OSError."""
    samples: list[Sample] = []
    tallies: dict[tuple[str, str], Tally] = {}
    of_workers = f"{glob.escape(path.name.removesuffix('.rejected'))}.worker-*.rejected"
    for each in (path, *sorted(path.parent.glob(of_workers))):
        shelves = Shelves()
        shelves.fill(each, since=0)
        samples += (sample.loads(orjson.loads(line)) for line in shelves.ring.lines())
        for key, found in shelves.tallies.items():
            tallies[key] = tallies[key].plus(found) if key in tallies else found
    return Held(tuple(sorted(samples, key=lambda kept: kept.at)), tuple(tallies.values()))


class Shelves:
    """Samples and tallies in memory, within bounds, as they are in the file."""

    def __init__(self) -> None:
        self.ring = Ring()
        self.tallies: dict[tuple[str, str], Tally] = {}

    def add_sample(self, kept: Sample) -> bytes:
        """Keep a sample; return its line."""
        line = kept.dumps()
        self.ring.add(kept.source, kept.label, line)
        return line

    def add_tally(self, counted: Tally) -> None:
        """Keep a tally in place of the last one of its source and label; beyond a bound new ones are left out."""
        key = (counted.source, counted.label)
        if key in self.tallies or len(self.tallies) < MOST_TALLIES:
            self.tallies[key] = counted

    def fill(self, path: Path, *, since: int) -> None:
        """Add what the file has of `since` (unix ms) and later; what cannot be read is passed over. Raises OSError."""
        try:
            with path.open("rb") as file:
                content = file.read(MAX_FILE_BYTES)
        except FileNotFoundError:
            return
        for line in content.splitlines(keepends=True):
            self._add_line(line, since)

    def _add_line(self, line: bytes, since: int) -> None:
        try:
            document: Any = orjson.loads(line)
            if "tally" in document:
                counted = tally.loads(document)
                if counted.last_at >= since:
                    self.add_tally(counted)
            elif (kept := sample.loads(document)).at >= since:
                self.ring.add(kept.source, kept.label, line)
        except (KeyError, TypeError, ValueError):
            return

    def lines(self) -> Iterable[bytes]:
        """Yield every line."""
        yield from (counted.dumps() for counted in self.tallies.values())
        yield from self.ring.lines()


class Writer:
    """Appends lines to the file, and rewrites it whole when it is due: at the start, after a fault, and when grown."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = -1

    def write(self, lines: list[bytes], shelves: Shelves) -> None:
        """Add lines that are already on the shelves. Raises OSError, after which the next call rewrites the file."""
        size, self._size = self._size, -1
        if size < 0 or size > 2 * shelves.ring.size + SLACK_BYTES:
            self._size = self._rewrite(shelves)
            return
        content = b"".join(lines)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            file.write(content)
            self._size = file.tell()

    def _rewrite(self, shelves: Shelves) -> int:
        fresh = self._path.with_name(f"{self._path.name}.new")
        try:
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(shelves.lines())
                size = file.tell()
            fresh.replace(self._path)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
        return size
