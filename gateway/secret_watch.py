"""Say once when a secret of a source comes to its end."""

from __future__ import annotations

from collections.abc import Mapping

from gateway.sources import Source
from gateway.telemetry.logs import Log


class SecretWatch:
    """Looks at the ends of secrets, which the caller does now and then."""

    def __init__(self, log: Log, sources: Mapping[str, Source], now: int) -> None:
        self._log = log
        self._told = _ended(sources, now)

    def look(self, sources: Mapping[str, Source], now: int) -> None:
        """Say which secrets have ended since the last look; `now` is unix milliseconds of the host's clock."""
        ended = _ended(sources, now)
        for source, secret in sorted(ended - self._told):
            self._log.secret_ended(source=source, secret=secret)
        self._told = ended


def _ended(sources: Mapping[str, Source], now: int) -> set[tuple[str, str]]:
    return {(name, source.labels[index]) for name, source in sources.items() for index in source.expired(now)}
