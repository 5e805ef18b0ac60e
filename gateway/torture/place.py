"""A folder with a configuration of its own: every provider, demo secrets, an inbox, and a local event API."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gateway.config import Config, load
from gateway.dev import demo

TIMEOUT_SECONDS, DRAIN_SECONDS = 1.0, 0.1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a gateway under torture works, and within which limits of the event API.

    Settled bodies are pruned at once, so that retention is always at work.
    """

    folder: str
    event_api_url: str
    max_request_bytes: int = 524_288
    max_event_bytes: int = 524_288
    max_batch_events: int = 1_000

    def config(self) -> Config:
        """Return the configuration, making its files where they are not there yet."""
        made = load(demo.make_config(Path(self.folder)), {})
        event_api = {
            "url": self.event_api_url,
            "timeout_seconds": TIMEOUT_SECONDS,
            "max_request_bytes": self.max_request_bytes,
            "max_event_bytes": self.max_event_bytes,
            "max_batch_events": self.max_batch_events,
        }
        return made.model_copy(
            update={
                "server": made.server.model_copy(update={"port": 0, "drain_seconds": DRAIN_SECONDS}),
                "admin": made.admin.model_copy(update={"port": 0}),
                "event_api": made.event_api.model_copy(update=event_api),
                "inbox": made.inbox.model_copy(update={"retention_days": 0}),
            }
        )
