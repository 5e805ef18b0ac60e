"""What each source's provider was refused since its last success: noted at the edge, kept in a small file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path

import orjson

from gateway.answers import SUCCESSES
from gateway.give_up import FORGOTTEN_MS, OF_STRANGERS, Refusing, clock, refused
from gateway.providers import Retries
from gateway.sources import Source

MOST_BYTES = 1_048_576


Noted = Callable[[str, str, int, str], None]
"""Told of each answer that changed a record: the source, the outcome, the status and the reason."""


class Refusals:
    """The records by source, begun with those that a file kept; `wall` tells the time (unix ms).

    Without a file they are kept by somebody else, who is told by `on_noted` and tells by `replace`.
    """

    def __init__(self, path: Path | None, wall: Callable[[], int], on_noted: Noted | None = None) -> None:
        self._path = path
        self._wall = wall
        self._on_noted = on_noted
        self._records = load(path) if path else {}
        self._written = dict(self._records)

    @property
    def records(self) -> Mapping[str, Refusing]:
        """The records as they are now."""
        return self._records

    def answered(self, source: Source, outcome: str, status: int, reason: str) -> None:
        """Note how a request to a source was answered."""
        if outcome in SUCCESSES:
            if source.name not in self._records:
                return
        elif outcome not in {"rejected", "unavailable"} or reason in OF_STRANGERS:
            return
        self.note(source.name, source.provider.retries, outcome, status, reason)

    def note(self, source: str, retries: Retries, outcome: str, status: int, reason: str) -> None:
        """Note an answer that counts: a success, or a refusal."""
        if outcome in SUCCESSES:
            self._records.pop(source, None)
        else:
            before = self._records.get(source)
            self._records[source] = refused(before, retries, at=self._wall(), status=status, reason=reason)
        if self._on_noted:
            self._on_noted(source, outcome, status, reason)

    def replace(self, records: Mapping[str, Refusing]) -> None:
        """Take the records that whoever keeps them tells."""
        self._records = dict(records)

    def current(self, sources: Iterable[str]) -> dict[str, Refusing]:
        """Return the records of those of the sources whose deliveries are being refused."""
        return current(self._records, sources, self._wall())

    def seconds(self, sources: Mapping[str, Source]) -> dict[str, float]:
        """Return how long until the provider gives up, by source, where its clock runs and that is known."""
        now = self._wall()
        left = {
            name: clock(record, sources[name].provider.retries, now).seconds(now)
            for name, record in self.current(sources).items()
        }
        return {name: seconds for name, seconds in left.items() if seconds is not None}

    def save(self) -> None:
        """Write the records where they have changed; without them a restart begins the clocks anew, no more."""
        records = dict(self._records)
        if self._path is None or records == self._written:
            return
        new = self._path.with_name(f"{self._path.name}.new")
        with contextlib.suppress(OSError):
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(orjson.dumps({name: asdict(record) for name, record in records.items()}))
            new.replace(self._path)
            self._written = records


def path_of(inbox: Path) -> Path:
    """Return where the records are, beside the inbox's file."""
    return inbox.with_name(f"{inbox.name}.refused")


def load(path: Path) -> dict[str, Refusing]:
    """Return the records that were kept; none where there are none, or none that can be read."""
    try:
        with path.open("rb") as file:
            return {name: Refusing(**record) for name, record in orjson.loads(file.read(MOST_BYTES)).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def current(records: Mapping[str, Refusing], sources: Iterable[str], now: int) -> dict[str, Refusing]:
    """Return the records of the sources that are not too old to mean anything."""
    return {
        name: record
        for name in sources
        if (record := records.get(name)) is not None and now - record.last_at <= FORGOTTEN_MS
    }
