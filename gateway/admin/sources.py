"""What is told of each source: the URL to register, what became of its deliveries, and how long its provider waits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gateway import dedupe
from gateway.addresses import registered_url
from gateway.admin.documents import (
    GiveUpDocument,
    RefusingDocument,
    RejectionDocument,
    SecretDocument,
    SourceDocument,
    SourcesDocument,
)
from gateway.config import Config, SourceConfig
from gateway.find_provider import find
from gateway.give_up import Refusing, clock
from gateway.history import Counts, SecretUse
from gateway.model import State
from gateway.providers import Provider
from gateway.quarantine import Tally


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of all sources at `now` (unix ms); `port` is where the gateway really listens, if it does."""

    now: int
    counts: Counts
    tallies: Iterable[Tally]
    refusing: Mapping[str, Refusing]
    port: int | None = None


def sources(config: Config, known: Known) -> SourcesDocument:
    """Return every source of the configuration."""
    rejections = defaultdict[str, list[RejectionDocument]](list)
    for tally in sorted(known.tallies, key=lambda tally: -tally.last_at):
        rejections[tally.source].append(_rejection(tally))
    return {"sources": [_source(config, name, known, rejections[name]) for name in config.sources]}


def _source(config: Config, name: str, known: Known, rejections: list[RejectionDocument]) -> SourceDocument:
    source = config.sources[name]
    provider = find(source.provider, config.path.parent)
    states = known.counts.by_source.get(name, {})
    refusing = known.refusing.get(name)
    return {
        "source": name,
        "provider": source.provider,
        "url": registered_url(config, name, known.port),
        "register_at": provider.register_at,
        "secret_at": provider.secret_at,
        "secrets": len(source.secrets),
        "secret_uses": _secrets(source, known.counts.secrets.get(name, {})),
        "transform": source.transform or provider.transform,
        "dedupe_window_days": dedupe.window_days(provider, config.inbox.dedupe_window_days, source.dedupe_window_days),
        "enforce": source.enforce,
        "pending": states.get(State.PENDING, 0) + states.get(State.LEASED, 0),
        "forwarded": states.get(State.FORWARDED, 0),
        "skipped": states.get(State.SKIPPED, 0),
        "dead": states.get(State.DEAD, 0),
        "duplicates": known.counts.duplicates.get(name, 0),
        "last_received_at": known.counts.last_received_at.get(name),
        "rejections": rejections,
        "refusing": _refusing(refusing) if refusing else None,
        "give_up": _give_up(refusing, provider, known.now) if refusing else None,
    }


def _secrets(source: SourceConfig, uses: Mapping[str, SecretUse]) -> list[SecretDocument]:
    return [
        {
            "label": secret.label,
            "not_after": secret.not_after,
            "uses": use.count if (use := uses.get(secret.label)) else 0,
            "last_used_at": use.last_at if use else None,
        }
        for secret in source.secrets
    ]


def _rejection(tally: Tally) -> RejectionDocument:
    return {"reason": tally.label, "count": tally.count, "first_at": tally.first_at, "last_at": tally.last_at}


def _refusing(record: Refusing) -> RefusingDocument:
    return {
        "since": record.since,
        "last_at": record.last_at,
        "count": record.count,
        "status": record.status,
        "reason": record.reason,
    }


def _give_up(record: Refusing, provider: Provider, now: int) -> GiveUpDocument:
    found = clock(record, provider.retries, now)
    return {
        "seconds": found.seconds(now),
        "drops_at": found.drops_at,
        "disables_at": found.disables_at,
        "sentence": found.sentence,
    }
