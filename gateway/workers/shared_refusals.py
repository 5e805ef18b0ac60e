"""What providers were refused, by all workers together: kept by the supervisor, told to every worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from gateway import refusals
from gateway.config import Config
from gateway.find_provider import find
from gateway.providers import Retries
from gateway.refusals import Refusals

TOLD_SECONDS = 1.0


class SharedRefusals:
    """Takes what workers note, and has `tell` send the records to all of them when they have changed.

    A success on one worker ends the clock that a refusal on another began, so that a source's first refusal is told at
    once; how often it is refused since, once a second.
    """

    def __init__(self, config: Config, wall: Callable[[], int], tell: Callable[[dict[str, Any]], None]) -> None:
        self._kept = Refusals(refusals.path_of(config.inbox_path), wall)
        self._tell = tell
        self._timer: asyncio.TimerHandle | None = None
        self._retries: dict[str, Retries] = {}
        self.save = self._kept.save
        self.configure(config)

    def configure(self, config: Config) -> None:
        """Take the sources of a configuration, and how their providers send again. Raises ConfigError."""
        folder = config.path.parent
        self._retries = {name: find(source.provider, folder).retries for name, source in config.sources.items()}

    def note(self, source: str, outcome: str, status: int, reason: str) -> None:
        """Note an answer of a worker; of a source that is not in use it does not count."""
        if source not in self._retries:
            return
        before = set(self._kept.records)
        self._kept.note(source, self._retries[source], outcome, status, reason)
        if before != set(self._kept.records):
            self._tell_all()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TOLD_SECONDS, self._tell_all)

    def document(self) -> dict[str, Any]:
        """Return the records as they are told."""
        return {source: asdict(record) for source, record in self._kept.records.items()}

    def _tell_all(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None
        self._tell(self.document())
